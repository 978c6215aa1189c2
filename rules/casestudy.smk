# Audit of a linear probe: what it relies on, whether that is a shortcut, and a repair (Figs. 6 and 15).


rule index_groups:
    input:
        unpack(groups_source),
        index="results/datasets/{dataset}/index.parquet",
    output:
        groups="results/datasets/{dataset}/groups.parquet",
    log:
        "results/logs/index_groups/{dataset}.log",
    benchmark:
        "results/benchmarks/index_groups/{dataset}.tsv"
    conda:
        ENV
    resources:
        mem_mb=memory(lambda s: 2000 + 0.002 * s.train),
        runtime=minutes(10),
    params:
        **code("index_groups.py"),
        settings=lambda w: settings(
            root=root_of(w.dataset), layout=dataset(w.dataset).layout, dataset=base_name(w.dataset)
        ),
    message:
        "Reading which images of {wildcards.dataset} belong together"
    script:
        "../scripts/index_groups.py"


rule split_audit:
    input:
        unpack(audit_groups),
        index=lambda w: index(variant(w.variant).dataset),
        classes=lambda w: classes(variant(w.variant).dataset),
    output:
        audit_split="results/{variant}/audit/split.parquet",
    log:
        "results/logs/split_audit/{variant}.log",
    benchmark:
        "results/benchmarks/split_audit/{variant}.tsv"
    conda:
        ENV
    resources:
        mem_mb=memory(lambda s: 2000 + 0.002 * s.train),
        runtime=minutes(10),
    params:
        **code("split_audit.py"),
        settings=lambda w: settings(
            **some(
                audit_of(w),
                "positive",
                "negative",
                "positive_share",
                "negatives",
                "seed",
                "test_on",
                "group",
            )
        ),
    message:
        "Drawing the images that the probe of {wildcards.variant} learns from"
    script:
        "../scripts/split_audit.py"


rule fit_audit:
    input:
        unpack(learned_from),
        unpack(choice_source),
        components="results/{variant}/components.parquet",
    output:
        probe="results/{variant}/audit/probe.safetensors",
        choice="results/{variant}/audit/choice.json",
    log:
        "results/logs/fit_audit/{variant}.log",
    benchmark:
        "results/benchmarks/fit_audit/{variant}.tsv"
    conda:
        ENV
    threads: THREADS
    resources:
        gpu=GPU,
        mem_mb=memory(lambda s: 4000 + 0.02 * s.train + 0.1 * s.latents),
        runtime=minutes(lambda s: 15 + s.train / 5000),
    params:
        **code("fit_audit.py"),
        settings=lambda w: settings(
            **some(
                audit_of(w),
                "component",
                "candidates",
                "toward",
                "low",
                "high",
                "alpha",
                "alphas",
                "scale",
                "c",
                "seed",
            ),
            relevance=variant(w.variant).failures.relevance,
            device=CONFIG.compute.device,
            threads=THREADS,
        ),
        untracked=untracked(block_rows=CONFIG.compute.block_rows),
    message:
        "Fitting the probes of {wildcards.variant}, and choosing the component to audit"
    script:
        "../scripts/fit_audit.py"


rule audit_relevances:
    input:
        unpack(learned_from),
        probe="results/{variant}/audit/probe.safetensors",
    output:
        relevances="results/{variant}/audit/relevances.parquet",
    log:
        "results/logs/audit_relevances/{variant}.log",
    benchmark:
        "results/benchmarks/audit_relevances/{variant}.tsv"
    conda:
        ENV
    threads: THREADS
    resources:
        gpu=GPU,
        mem_mb=memory(lambda s: 4000 + 0.1 * s.latents),
        runtime=minutes(lambda s: 10 + s.train / 10000),
    params:
        **code("audit_relevances.py"),
        settings=lambda w: settings(
            alpha=audit_of(w).alpha,
            relevance=variant(w.variant).failures.relevance,
            device=CONFIG.compute.device,
            threads=THREADS,
        ),
        untracked=untracked(block_rows=CONFIG.compute.block_rows),
    message:
        "Attributing the probes of {wildcards.variant} to components"
    script:
        "../scripts/audit_relevances.py"


rule audit_accuracies:
    input:
        unpack(lambda w: changed_images(w, "embeddings", "increased", "reduced")),
        index=lambda w: index(variant(w.variant).dataset),
        audit_split="results/{variant}/audit/split.parquet",
        head=lambda w: of_encoder(w, "head.safetensors"),
        probe="results/{variant}/audit/probe.safetensors",
        choice="results/{variant}/audit/choice.json",
    output:
        accuracies="results/{variant}/audit/accuracies.parquet",
        audit="results/{variant}/audit/audit.json",
    log:
        "results/logs/audit_accuracies/{variant}.log",
    benchmark:
        "results/benchmarks/audit_accuracies/{variant}.tsv"
    conda:
        ENV
    threads: THREADS
    resources:
        mem_mb=memory(lambda s: 2000 + 0.02 * (s.train + s.test)),
        runtime=minutes(lambda s: 10 + s.train / 25000),
    params:
        **code("audit_accuracies.py"),
        settings=settings(threads=THREADS),
        untracked=untracked(block_rows=CONFIG.compute.block_rows),
    message:
        "Testing the probes of {wildcards.variant} on changed images"
    script:
        "../scripts/audit_accuracies.py"


rule fig6:
    input:
        unpack(audited),
        components="results/{variant}/components.parquet",
        top_samples="results/{variant}/top_samples.parquet",
        index=lambda w: index(variant(w.variant).dataset),
    output:
        **figure_files("fig6", "Case study"),
    log:
        "results/logs/fig6/{variant}.log",
    benchmark:
        "results/benchmarks/fig6/{variant}.tsv"
    conda:
        ENV
    resources:
        mem_mb=memory(2000),
        runtime=minutes(10),
    params:
        **code("fig6.py"),
        settings=lambda w: settings(
            **shown([w.variant]), **reading(), dataset_root=root_of(variant(w.variant).dataset)
        ),
    message:
        "Drawing Fig. 6 of {wildcards.variant}"
    script:
        "../scripts/fig6.py"


rule fig15:
    input:
        unpack(audited),
    output:
        **figure_files("fig15", "Case study"),
    log:
        "results/logs/fig15/{variant}.log",
    benchmark:
        "results/benchmarks/fig15/{variant}.tsv"
    conda:
        ENV
    resources:
        mem_mb=memory(2000),
        runtime=minutes(10),
    params:
        **code("fig15.py"),
        settings=lambda w: settings(**shown([w.variant])),
    message:
        "Drawing Fig. 15 of {wildcards.variant}"
    script:
        "../scripts/fig15.py"
