# What components stand for: other bases, another split, names nobody would expect (Figs. 4, 9, 10, 11).


use rule component_table as component_table_test with:
    input:
        unpack(lambda w: labels_source(w, "test")),
        codes="results/{variant}/codes/test/manifest.json",
    output:
        components="results/{variant}/components/sae/test.parquet",
    log:
        "results/logs/component_table_test/{variant}.log",
    benchmark:
        "results/benchmarks/component_table_test/{variant}.tsv"
    message:
        "Naming the components of {wildcards.variant} on the test split"


use rule component_table as component_table_asked with:
    input:
        unpack(lambda w: labels_source(w, "train", "asked")),
        codes="results/{variant}/codes/train/manifest.json",
        top_samples="results/{variant}/top_samples.parquet",
    output:
        components="results/{variant}/components/asked/train.parquet",
    log:
        "results/logs/component_table_asked/{variant}.log",
    benchmark:
        "results/benchmarks/component_table_asked/{variant}.tsv"
    message:
        "Holding the components of {wildcards.variant} against the names that were asked for"


rule basis_table:
    input:
        unpack(lambda w: labels_source(w, "train")),
        embeddings=lambda w: embedded(w, "train"),
    output:
        components="results/{variant}/components/{basis}/train.parquet",
    log:
        "results/logs/basis_table/{variant}.{basis}.log",
    benchmark:
        "results/benchmarks/basis_table/{variant}.{basis}.tsv"
    wildcard_constraints:
        basis="neurons|pca",
    conda:
        ENV
    resources:
        mem_mb=memory(lambda s: 4000 + 0.002 * s.train),
        runtime=minutes(lambda s: 20 + s.train / 15000),
    params:
        **code("basis_table.py"),
        settings=lambda w: settings(
            basis=w.basis,
            top_n=CONFIG.naming.top_n,
            min_active=CONFIG.naming.min_active,
        ),
        untracked=untracked(block_rows=CONFIG.compute.block_rows),
    message:
        "Naming the {wildcards.basis} of {wildcards.variant}"
    script:
        "../scripts/basis_table.py"


rule alignment_baseline:
    input:
        unpack(named_images),
    output:
        alignments="results/encoders/{encoder}/{dataset}/alignments.parquet",
    log:
        "results/logs/alignment_baseline/{encoder}.{dataset}.log",
    benchmark:
        "results/benchmarks/alignment_baseline/{encoder}.{dataset}.tsv"
    conda:
        ENV
    resources:
        mem_mb=memory(lambda s: 3000 + 0.01 * s.test),
        runtime=minutes(30),
    params:
        **code("alignment_baseline.py"),
        settings=settings(split="test"),
        untracked=untracked(block_rows=CONFIG.compute.block_rows),
    message:
        "Aligning the classes of {wildcards.dataset} with their own names, seen by {wildcards.encoder}"
    script:
        "../scripts/alignment_baseline.py"


rule hidden_concepts:
    input:
        unpack(asked_components),
        components="results/{variant}/components.parquet",
        expectations="results/{variant}/expectations.parquet",
        attributions="results/{variant}/attributions/subset.parquet",
        alignments=lambda w: alignments_of(w.variant),
    output:
        hidden="results/{variant}/hidden.parquet",
    log:
        "results/logs/hidden_concepts/{variant}.log",
    benchmark:
        "results/benchmarks/hidden_concepts/{variant}.tsv"
    conda:
        ENV
    resources:
        mem_mb=memory(2000),
        runtime=minutes(10),
    params:
        **code("hidden_concepts.py"),
        settings=settings(**CONFIG.hidden.model_dump(exclude={"vocabulary", "prompts"})),
    message:
        "Looking for hidden concepts of {wildcards.variant}"
    script:
        "../scripts/hidden_concepts.py"
