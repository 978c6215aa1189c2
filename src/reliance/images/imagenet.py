"""Layout `imagenet`: train/ and val/ with one folder per WordNet id; val/ is the split "test".

val/ as it is downloaded is flat (50,000 files in one folder). It is understood if a list of its
labels lies in the root or in val/: LOC_val_solution.csv (Kaggle: "name,n01751748 111 108 ..."),
val_annotations.txt (Tiny ImageNet) or val.txt ("name 65", the number counting sorted WordNet ids).
"""

import re
from pathlib import Path

from reliance.base.errors import RelianceError
from reliance.images.classes import WNID
from reliance.images.folder import class_folders, each_once, leave_out_loose
from reliance.images.scan import File, Scanner
from reliance.images.shapes import Group

LABEL_FILES = ("LOC_val_solution.csv", "val_annotations.txt", "val.txt")
CHALLENGE_FILE = "ILSVRC2012_validation_ground_truth.txt"


def list_imagenet(scanner: Scanner) -> list[Group]:
    """Groups of train/ and val/.

    Raises RelianceError if one of them is missing, if class folders are not WordNet ids, or if
    val/ is flat and no list of its labels is found.
    """
    folders = scanner.folders()
    if "train" not in folders or "val" not in folders:
        raise RelianceError(
            scanner.where,
            "an ImageNet root has the folders train and val",
            found=", ".join(folders[:8]) or "no folders",
            allowed="root/train/n01440764/*.JPEG and root/val/n01440764/*.JPEG",
            next_step="point root at the folder that holds both; for other images use `layout: folder`",
        )
    if unused := [name for name in folders if name not in ("train", "val")]:
        scanner.say(f"folders that this layout does not use: {', '.join(unused[:8])}")
    leave_out_loose(scanner, "", "lies beside the folders of the splits")
    train = _wordnet_folders(scanner, each_once(scanner, class_folders(scanner, "train", "train")), "train")
    val = each_once(scanner, class_folders(scanner, "val", "test"))
    if not train or not val:
        raise RelianceError(
            f"{scanner.where}/{'val' if train else 'train'}",
            "both splits of ImageNet have images",
            found="no images",
            allowed="images in train/ and in val/",
            next_step="check that the archives were unpacked into these folders",
        )
    if all(WNID.fullmatch(group.folder) is None for group in val):
        return train + _labelled(scanner, [f for g in val for f in g.files], [g.folder for g in train])
    return train + _wordnet_folders(scanner, val, "val")


def _wordnet_folders(scanner: Scanner, groups: list[Group], name: str) -> list[Group]:
    wrong = [g.folder or "images without a folder" for g in groups if not WNID.fullmatch(g.folder)]
    if wrong:
        raise RelianceError(
            f"{scanner.where}/{name}",
            "ImageNet's class folders are WordNet ids (n and eight digits)",
            found=", ".join(wrong[:5]),
            allowed="folders such as n01440764",
            next_step="for images with other folder names use `layout: folder`",
        )
    return groups


def _labelled(scanner: Scanner, files: list[File], train_folders: list[str]) -> list[Group]:
    """Groups of a flat val/, by the list of labels that lies beside it."""
    lists = [p for name in LABEL_FILES for p in (scanner.root / name, scanner.root / "val" / name)]
    source = next((path for path in lists if path.is_file()), None)
    if source is None:
        raise _flat(scanner, files)
    labels = _read_labels(source, sorted(train_folders))
    groups: dict[str, list[File]] = {}
    for file in files:
        stem = Path(file.path).stem
        if stem not in labels:
            raise RelianceError(
                source,
                "the list of validation labels names every image in val/",
                found=f"no line for {file.path}",
                allowed="one line per image",
                next_step="the list belongs to another data set or was cut: download it again",
            )
        groups.setdefault(labels[stem], []).append(file)
    return [Group("test", wnid, groups[wnid]) for wnid in sorted(groups)]


def _read_labels(path: Path, wnids: list[str]) -> dict[str, str]:
    """Image name without suffix -> WordNet id; a heading line is skipped."""
    labels = {}
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1):
        fields = re.split(r"[,\s]+", line.strip())
        if not line.strip() or fields[0] == "ImageId":
            continue
        label = fields[1] if len(fields) > 1 else ""
        if label.isdecimal() and len(label) < 10 and int(label) < len(wnids):
            label = wnids[int(label)]
        if not WNID.fullmatch(label):
            raise RelianceError(
                f"{path}, line {number}",
                "a line of the list of validation labels is an image name and its class",
                found=line,
                allowed="a WordNet id (n01440764), or the number of a train/ folder counted from 0",
                next_step="take the list from the same source as the images",
            )
        labels[Path(fields[0]).stem] = label
    return labels


def _flat(scanner: Scanner, files: list[File]) -> RelianceError:
    found = f"{len(files)} images directly in val/"
    if (scanner.root / CHALLENGE_FILE).is_file() or (scanner.root / "val" / CHALLENGE_FILE).is_file():
        found += f"; {CHALLENGE_FILE} counts classes in an order of its own and does not help"
    return RelianceError(
        f"{scanner.where}/val",
        "the validation images must be in one folder per class, or have a list of their labels",
        found=found,
        allowed=f"val/n01440764/*.JPEG, or one of {', '.join(LABEL_FILES)} in the root or in val/",
        next_step="this is how ImageNet is downloaded: put Kaggle's LOC_val_solution.csv beside val/, "
        "or move the images into class folders with PyTorch's script valprep.sh",
    )
