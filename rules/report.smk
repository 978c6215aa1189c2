# One self-contained page per variant.


rule report:
    input:
        unpack(page_of),
        template="workflow/report/page.html.j2",
    output:
        html="results/{variant}/report.html",
        findings="results/{variant}/findings.json",
    log:
        "results/logs/report/{variant}.log",
    benchmark:
        "results/benchmarks/report/{variant}.tsv"
    conda:
        ENV
    resources:
        mem_mb=memory(4000),
        runtime=minutes(10),
    params:
        **code("report.py"),
        settings=page_settings,
        untracked=lambda w, resources: settings(benchmarks="results/benchmarks", owners=owners_of(w)),
    message:
        "Writing the page of {wildcards.variant}"
    script:
        "../scripts/report.py"
