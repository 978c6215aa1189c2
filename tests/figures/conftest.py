import pytest

from reliance.base.artifacts import write_table
from reliance.figures import sheet
from reliance.robustness.summary import ROBUSTNESS


@pytest.fixture
def write(tmp_path):
    """Writes benchmark tables: write({variant: frame}) -> paths."""

    def write_all(frames):
        paths = []
        for name, frame in frames.items():
            paths.append(tmp_path / name / "robustness.parquet")
            write_table(paths[-1], frame, ROBUSTNESS, {"variant": name}, {})
        return paths

    return write_all


@pytest.fixture
def outputs(tmp_path):
    return {key: tmp_path / f"out.{key}" for key in ("pdf", "png", "csv")} | {
        "caption": tmp_path / "out.caption.md"
    }


@pytest.fixture
def drawn_figure(monkeypatch):
    """The last figure, not written (that takes most of the time) but drawn, so that its texts have places."""
    figures = []
    monkeypatch.setattr(sheet, "write_figure", lambda figure, path, stamp: figures.append(figure))

    def last():
        figures[-1].draw_without_rendering()
        return figures[-1]

    return last


@pytest.fixture
def drawn(drawn_figure):
    """All texts of the figure that was saved last."""
    return lambda: [t.get_text() for t in drawn_figure().findobj(lambda o: hasattr(o, "get_text"))]
