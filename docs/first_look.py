"""Ten lines of Python that run once `make demo` has."""

import reliance

study = reliance.open("results/demo")
case = study.failures.sort_values("score", ascending=False).iloc[0]  # whose prompt, which latent
images = study.failure_samples.query("failure_id == @case.failure_id")  # and by which images
image_id, split = int(images["image_id"].iloc[0]), str(images["split"].iloc[0])
found = study.relevances(image_id, split, class_id=int(case["class_id"]))  # what every active latent adds
print(f"The output of image {image_id} for class {case['class_id']} is {found.attrs['y']:.3f}:")
print(found.head())
print(study.components.nlargest(5, "top20_mean")[["component", "label", "clarity"]])
