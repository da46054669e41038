"""Words that are wrong, and what costs nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from reparam.cli import VERBS, app
from tests.cli.conftest import Invoke

NAMES = [name for name, _, _ in VERBS]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("trian", "There is no verb 'trian'. Did you mean 'train'?"),
        ("--vresion", "There is no option '--vresion'."),
        ("train --epoch 3", "train has no option '--epoch'. Did you mean '--epochs'?"),
        ("train --epoch=3", "train has no option '--epoch'. Did you mean '--epochs'?"),
        ("train --epochs three", "train: Invalid value for --epochs: expected a whole number (got 'three')."),
        ("train --epochs 1.5", "train: Invalid value for --epochs: expected a whole number (got '1.5')."),
        ("sample run -n 1e999999999", "sample: Invalid value for -n: expected a whole number (got '1e999999999')."),
        ("score run digits --top nan", "score: Invalid value for --top: expected a whole number (got 'nan')."),
        ("train --modle.latent_dim 3", "train has no option '--modle.latent_dim'. Did you mean '--model.latent_dim'?"),
        (
            "train --zzz.x 3",
            "train has no option '--zzz.x'. Settings begin with --data., --model., --objective., --train.",
        ),
        ("train --model.latent_dim", "--model.latent_dim needs a value"),
        ("train --model.x [1", "'[1' is no value"),
        ("train --model..x 1", "expected a name on each side of every dot"),
        ("train --model.latent_dmi 3", "--model.latent_dmi: there is no such key. Did you mean 'latent_dim'?"),
        ("train --train.batch_size 0", "--train.batch_size: input should be greater than or equal to 1 (got 0)"),
        ("train --epochs 0", "--epochs: input should be greater than or equal to 1 (got 0)"),
        ("train --model.prior nromal", "--model.prior: there is no prior 'nromal'. Did you mean 'normal'?"),
        ("train vea", "There is no recipe 'vea'. Did you mean 'vae'?"),
        ("train vae mnist", "train takes no further word (got 'mnist')."),
        ("sample", "sample needs RUN. See: reparam sample --help"),
        ("sample somewhere -n", "sample: -n needs a value."),
        ("sample somewhere --device gpu", "Choose from:"),
        ("list recipe", "Choose from:"),
        ("encode somewhere digits", "encode: --out needs a value."),
        ("encode somewhere digits --out codes.txt", "expected a file name that ends in .npz or .parquet or .csv."),
    ],
)
def test_wrong_usage_is_one_sentence(invoke: Invoke, words: str, said: str) -> None:
    answer = invoke(*words.split())
    assert answer.code == 2
    assert answer.out == ""
    assert said in " ".join(answer.err.split())
    assert answer.err.startswith("reparam: ")
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("train --data nowhere.npz", "There is no data set or path 'nowhere.npz'."),
        ("train --device mps", "This machine has no mps device"),
        ("sample nowhere", "nowhere is not there. Give the folder that 'reparam train --out' wrote."),
        ("resume nowhere", "nowhere is no run folder"),
        ("compare nowhere", "nowhere is not there."),
    ],
)
def test_failures_are_one_sentence(
    invoke: Invoke, words: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = invoke(*words.split())
    assert answer.code == 1
    assert answer.out == ""
    assert said in " ".join(answer.err.split())
    assert "Traceback" not in answer.err
    assert not list(tmp_path.iterdir())


def test_debug_shows_the_traceback(invoke: Invoke) -> None:
    answer = invoke("sample", "nowhere", "--debug")
    assert answer.code == 1
    assert answer.err.startswith("Traceback")
    assert answer.err.splitlines()[-1].startswith("reparam: nowhere is not there.")


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ZeroDivisionError("division by zero"), 1, "ZeroDivisionError: division by zero. This should not happen"),
        (OSError(28, "No space left on device", "a/b.npz"), 1, "a/b.npz: No space left on device. Free some space"),
        (PermissionError(13, "Permission denied", "a"), 1, "a: Permission denied. Write elsewhere"),
        (MemoryError(), 1, "There is not enough memory."),
        (KeyboardInterrupt(), 130, "stopped."),
        (BrokenPipeError(32, "Broken pipe"), 1, ""),
    ],
    ids=lambda value: type(value).__name__,
)
def test_unforeseen_errors(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, said: str
) -> None:
    def failing(tokens: object, **_: object) -> None:
        raise error

    monkeypatch.setattr("reparam.cli.app", failing)
    monkeypatch.setattr("os.dup2", lambda *_: None)
    answer = invoke("list", "data")
    assert answer.code == code
    assert answer.err.startswith(f"reparam: {said}" if said else "")
    assert answer.err.count("\n") == (1 if said else 0)


LOADED = "import sys; from reparam.cli import run; code = run({words!r}); print(code, 'torch' in sys.modules)"


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["train", "--help"], ["sample", "--foo"]], ids=" ".join)
def test_no_torch_for_help_and_wrong_words(words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED.format(words=words)], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == f"{2 if '--foo' in words else 0} False"


def test_no_verb_needs_torch_for_its_help() -> None:
    code = (
        "import sys; from reparam.cli import VERBS, run\n"
        "for name, _, _ in VERBS: assert run([name, '--help']) == 0\n"
        "assert not {'torch', 'numpy'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)


@pytest.mark.slow
def test_a_reader_who_has_enough() -> None:
    """``reparam list data | true`` ends quietly."""
    code = "import sys; from reparam.cli import main; sys.argv = ['reparam', 'list', 'data', '--json']; main()"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


def test_verbs_are_those_of_the_design() -> None:
    assert [name for name in app if not name.startswith("-")] == NAMES


@pytest.mark.parametrize(("name", "about", "example"), VERBS)
def test_help_of_a_verb(invoke: Invoke, name: str, about: str, example: str) -> None:
    answer = invoke(name, "--help")
    text = " ".join(answer.out.split())
    assert answer.code == 0
    assert about in text
    assert f"Example: {example}" in text
    for option in ("--device", "--seed", "--debug", "--json"):
        assert option in text


@pytest.mark.parametrize("example", [example for _, _, example in VERBS])
def test_examples_are_right_usage(example: str) -> None:
    from reparam.cli.settings import gathered

    words = example.split()
    assert words[0] == "reparam"
    app.parse_args(gathered(words[1:]), exit_on_error=False, print_error=False)


@pytest.mark.parametrize("words", [[], ["--help"]])
def test_help_lists_the_verbs(invoke: Invoke, words: list[str]) -> None:
    answer = invoke(*words)
    assert answer.code == 0
    assert all(name in answer.out for name in NAMES)
