"""What every figure must keep to."""


def shown_texts(figure):
    """All texts that are drawn; an axis also holds labels of ticks that lie outside of it."""
    found = [*figure.texts, *(text for legend in figure.legends for text in legend.get_texts())]
    for axes in figure.axes:
        found += [*axes.texts, axes.title, axes.xaxis.label, axes.yaxis.label] if axes.axison else axes.texts
        for axis in (axes.xaxis, axes.yaxis) if axes.axison else ():
            low, high = sorted(axis.get_view_interval())
            ticks = zip(axis.get_majorticklocs(), axis.get_majorticklabels(), strict=False)
            found += [label for place, label in ticks if low <= place <= high]
    return [text for text in found if text.get_text().strip() and text.get_visible()]


def check_inside(figure):
    """No text is cut by the page, and no two texts lie on each other."""
    page, boxes = figure.bbox, []
    for text in shown_texts(figure):
        box = text.get_window_extent()
        assert box.x0 >= page.x0 - 1, text
        assert box.x1 <= page.x1 + 1, text
        assert box.y0 >= page.y0 - 1, text
        assert box.y1 <= page.y1 + 1, text
        boxes.append((text.get_text(), box.padded(-3)))
    for i, (one, box) in enumerate(boxes):
        for other, second in boxes[i + 1 :]:
            assert not box.overlaps(second), (one, other)
