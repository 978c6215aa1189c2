# One rule for every stage of src/reliance/plan: what it reads and writes, and how its function is called.


for wired in WIRED:

    rule:
        name:
            wired.stage.name
        input:
            ancient(wired.after),
            wired.along,
            unpack(wired.inputs),
        output:
            *wired.stage.beside,
            **outputs(wired.stage),
        log:
            wired.log,
        benchmark:
            wired.benchmark
        wildcard_constraints:
            **wired.constraints,
        priority: int(wired.stage.first)
        group:
            wired.stage.group
        localrule: wired.stage.local
        conda:
            ENVIRONMENT
        threads: wired.threads
        resources:
            **wired.resources,
        params:
            **wired.fingerprints,
            entry=wired.stage.entry,
            settings=wired.settings,
            literal=wired.literal,
            untracked=wired.untracked,
            about=wired.about,
        message:
            wired.stage.message
        script:
            "../scripts/job.py"
