"""An answer as lines of text, as wide as they need to be."""

from reliance.base.errors import printable
from reliance.explore.sheets import Block, Sheet

BAR = 12  # characters of the longest bar
WIDEST = 44  # characters of a cell


def text(sheet: Sheet) -> str:
    """The lines of an answer."""
    lines = [sheet.title, *(f"  {line}" for line in sheet.lead)]
    for block in sheet.blocks:
        lines += ["", *_block(block)]
    if sheet.notes:
        lines += ["", *sheet.notes]
    return "\n".join(printable(line) for line in lines)


def _block(block: Block) -> list[str]:
    lines = [block.title, *(f"  {line}" for line in block.lead)]
    bars = any(row.bar is not None for row in block.rows)
    columns = [*block.columns, *([""] if bars else [])]
    rows = [[*map(_short, row.cells), *([_bar(row.bar)] if bars else [])] for row in block.rows]
    used = [i for i in range(len(columns)) if any(row[i] for row in rows)]
    widths = {i: max(len(columns[i]), *(len(row[i]) for row in rows)) for i in used}
    right = {i for i in used if all(_is_number(row[i]) for row in rows)}
    for row in [columns, *rows] if rows else []:
        cells = [row[i].rjust(widths[i]) if i in right else row[i].ljust(widths[i]) for i in used]
        lines.append(f"  {'  '.join(cells)}".rstrip())
    if block.columns and not rows:
        lines.append("  none")
    if block.pictures and not rows:
        shown = [f"{split}:{image_id} ({caption})" for (split, image_id), caption in block.pictures]
        lines += [f"  {'  '.join(shown[i : i + 5])}" for i in range(0, len(shown), 5)]
    return lines


def _bar(share: float | None) -> str:
    if share is None:
        return ""
    return ("#" if share > 0 else "-") * round(abs(share) * BAR)


def _short(cell: str) -> str:
    cell = printable(cell)
    return cell if len(cell) <= WIDEST else f"{cell[: WIDEST - 3]}..."


def _is_number(cell: str) -> bool:
    return not cell.strip("+-.0123456789 %")
