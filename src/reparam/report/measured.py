"""What the numbers of samples, codes and the latent space are called: name, unit and meaning of each key."""

MEASURED: dict[str, tuple[str, str, str]] = {
    "nll_per_step": (
        "\N{MINUS SIGN}log p(x) of a step",
        "nats per step",
        "What is left to guess at each step of a sequence, all sequences together. Lower is better.",
    ),
    "filtered_nll": (
        "\N{MINUS SIGN}log p(x) by a particle filter",
        "nats per example",
        "An estimate that stays tight for long sequences, where few whole trajectories count. Lower is better.",
    ),
    "filtered_nll_per_step": (
        "\N{MINUS SIGN}log p(x) of a step by a particle filter",
        "nats per step",
        "The same, shared by all steps of all sequences.",
    ),
    "mutual_information": (
        "Mutual information of x and z",
        "nats",
        "What a code tells about which example it is of; near 0 the code is not used. It cannot exceed the log of the "
        "number of examples.",
    ),
    "aggregate_kl": (
        "KL(q(z) || p(z))",
        "nats",
        "How far the codes of all data together are from the prior. Near 0 new samples come from where codes lie.",
    ),
    "fid": (
        "FID",
        "squared feature distance",
        "Frechet distance of samples from data. Lower is better; it compares only in the same features and for the "
        "same number of examples.",
    ),
    "recon_fid": (
        "FID of reconstructions",
        "squared feature distance",
        "Frechet distance of reconstructions from data: what FID is left where the prior is not to blame.",
    ),
    "perceptual_distance": (
        "Perceptual distance of reconstructions",
        "squared length, at most 4",
        "Between the features of x and of its reconstruction, mean over places and layers. Lower is better; it "
        "compares only for one network.",
    ),
    "kid": (
        "KID",
        "squared feature distance",
        "Kernel distance of samples from data, unbiased: 0 on average for samples that are like data. Lower is better.",
    ),
    "precision": ("Precision", "share", "Samples that lie among the data: are they good? 1 is best."),
    "recall": ("Recall", "share", "Data that lie among the samples: are all kinds there? 1 is best."),
    "inception_score": (
        "Inception score",
        "1 to number of classes",
        "Samples of clear and various classes, as a classifier sees them. Higher is better.",
    ),
    "class_diversity": (
        "Diversity within a class",
        "share of the data's",
        "Variance of features among samples of a class, beside that of data. Below 1 they are too much alike.",
    ),
    "sharpness": (
        "Sharpness of samples",
        "share of the data's",
        "Variance of the Laplacian, beside that of data. Below 1 samples are blurred; above 1 they are noisy.",
    ),
    "sharpness_reconstructed": (
        "Sharpness of reconstructions",
        "share of the data's",
        "Variance of the Laplacian, beside that of data. Below 1 reconstructions are blurred; above 1 they are noisy.",
    ),
    "continuity_median": (
        "Step between decoded neighbours, median",
        "1 is even",
        "How far decoded examples move for a small step between two codes, relative to the distance of the examples.",
    ),
    "continuity_p95": (
        "Step between decoded neighbours, 95th percentile",
        "1 is even",
        "Far above the median where examples change suddenly: the latent space is not continuous there.",
    ),
    "continuity_jump": (
        "Largest step on the way between two examples",
        "mean steps",
        "1 where the way is even, 20 where all of the change happens in one of its 20 steps.",
    ),
    "completeness": (
        "Completeness of the latent space",
        "share",
        "Draws from the prior that decode to where data lie; data themselves reach 0.95.",
    ),
    "ppc_mean_p": (
        "Check of the mean",
        "p-value",
        "Near 0 where data drawn from the model would hardly ever be as bright as the data.",
    ),
    "ppc_variance_p": (
        "Check of the variance",
        "p-value",
        "Near 0 where examples drawn from the model would hardly ever have the contrast of the data.",
    ),
    "ppc_ink_p": (
        "Check of the ink",
        "p-value",
        "Near 0 where data drawn from the model would hardly ever have the data's share of values above 0.5.",
    ),
    "ppc_zeros_p": (
        "Check of zeros",
        "p-value",
        "Near 0 where counts drawn from the model would hardly ever have the data's share of zeros.",
    ),
    "ppc_neighbours_p": (
        "Check of neighbours",
        "p-value",
        "Near 0 where values side by side in what the model draws would hardly ever be as alike as in the data.",
    ),
    "class_accuracy": (
        "Class by Bayes' rule",
        "accuracy",
        "Examples whose class has the largest p(C|x), which follows from the likelihood under each class.",
    ),
    "probe_accuracy": (
        "Linear probe",
        "accuracy",
        "Test codes whose class a linear classifier tells that was fitted to training codes.",
    ),
    "knn_accuracy": (
        "Nearest neighbours",
        "accuracy",
        "Test codes whose class the five nearest training codes tell.",
    ),
    "nmi": ("Clusters and classes", "0 to 1", "Normalised mutual information of k-means clusters and classes."),
    "mig": (
        "MIG",
        "0 to 1",
        "Mutual information gap: each factor is told by one dimension and by no second one. Higher is better.",
    ),
    "sampled_mig": (
        "MIG of draws",
        "0 to 1",
        "The mutual information gap of draws from q(z|x), as in its paper, instead of posterior means in bins.",
    ),
    "dci_disentanglement": (
        "DCI disentanglement",
        "0 to 1",
        "Each dimension matters to one factor only. Higher is better.",
    ),
    "dci_completeness": (
        "DCI completeness",
        "0 to 1",
        "Each factor is told by one dimension only. Higher is better.",
    ),
    "dci_informativeness": (
        "DCI informativeness",
        "accuracy",
        "How well all dimensions together predict a factor. Higher is better.",
    ),
    "sap": (
        "SAP",
        "0 to below 1",
        "Gap of the two dimensions that predict a factor best, each alone. Higher is better.",
    ),
    "factor_vae_score": (
        "FactorVAE score",
        "accuracy",
        "The dimension that varies least tells which factor is fixed; chance is one over the number of factors.",
    ),
    "beta_vae_score": (
        "beta-VAE score",
        "accuracy",
        "Differences of codes tell which factor is fixed; chance is one over the number of factors.",
    ),
    "modularity": ("Modularity", "0 to 1", "Each dimension tells of one factor only. Higher is better."),
    "explicitness": (
        "Explicitness",
        "area under ROC",
        "A linear classifier tells each value of each factor; chance is 0.5.",
    ),
}
COMPARED = {"fid", "recon_fid", "kid", "precision", "recall", "inception_score", "completeness"}
COMPARED |= {"class_diversity"}
CHECKS = tuple(key.removeprefix("ppc_").removesuffix("_p") for key in MEASURED if key.startswith("ppc_"))
OF_SAMPLES = COMPARED - {"recon_fid"} | {"sharpness"} | {f"ppc_{name}_p" for name in CHECKS}
BESIDE = {
    "fid_n",
    "recon_fid_n",
    "kid_std",
    "inception_score_std",
    "completeness_n",
    "collapse_n",
    "sampled_mig_n",
    "mutual_information_most",
} | {f"{name}_stderr" for name in ("mutual_information", "aggregate_kl", "class_accuracy")}
BESIDE |= {f"filtered_nll_{part}" for part in ("stderr", "samples", "n")}
BESIDE |= {"ppc_n"} | {f"ppc_{name}{which}" for name in CHECKS for which in ("", "_model")}
