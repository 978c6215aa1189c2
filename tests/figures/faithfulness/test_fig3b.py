import pandas as pd
import pytest

from reliance.figures import style
from reliance.figures.faithfulness.fig3b import fig3b as fig3b_
from reliance.figures.faithfulness.fig3b import findings

from ..curve_examples import curves_table, write_curves
from ..jobs import as_job
from ..pages import check_inside

fig3b = as_job(fig3b_)

BASES = ["sae", "pca", "neurons"]


def tables(rates=(1.0, 0.5, 0.2), **changes):
    """The curves of a basis fall the faster, the higher its rate."""
    return {b: curves_table(seed=i, rate=rates[i], **changes) for i, b in enumerate(BASES)}


def drawn_from(folder, outputs, frames, **settings):
    fig3b(**write_curves(folder, frames), bases=list(frames), variants=["demo"], **outputs, **settings)


def test_numbers_are_those_of_the_tables(tmp_path, outputs, drawn_figure):
    frames = tables()
    drawn_from(tmp_path, outputs, frames)
    numbers = pd.read_csv(outputs["csv"])
    assert set(numbers["basis"]) == set(BASES) and set(numbers["method"]) == {"act_x_grad"}
    figure = drawn_figure()
    for i, protocol in enumerate(("local_deletion", "global_deletion", "local_insertion")):
        for line, basis in zip(figure.axes[i].get_lines(), BASES, strict=True):
            own = frames[basis]
            own = own[(own["protocol"] == protocol) & (own["method"] == "act_x_grad")]
            y = own[own["error_term"] == "frozen"].groupby("step")["y"].mean()
            assert line.get_ydata() == pytest.approx(100 * y.to_numpy())
            assert line.get_color() == style.BASES[basis].color
            shown = numbers[(numbers["protocol"] == protocol) & (numbers["basis"] == basis)]
            assert shown.loc[shown["step"].notna(), "y"].to_numpy() == pytest.approx(y.to_numpy(), rel=1e-5)


def test_findings_follow_the_curves():
    held = {f.name: f.holds for f in findings(tables(classes=9))}
    assert held["sae_over_pca:local_deletion"] and held["sae_over_neurons:global_deletion"]
    turned = findings(tables(rates=(0.2, 0.5, 1.0), classes=9))
    assert all(f.holds is False for f in turned if f.name.endswith("local_deletion"))
    assert len(turned) == 6
    assert findings({"pca": curves_table()}) == []


def test_caption_and_texts(tmp_path, outputs, drawn):
    drawn_from(tmp_path, outputs, tables(), random_weights=[True])
    texts, caption = drawn(), outputs["caption"].read_text()
    assert "demo (random weights)" in texts and texts.count("PCA") == 3
    assert "30 test images of 2 classes, the same for all bases" in caption
    assert "- The SAE's latents name the causes better than principal axes do" in caption


@pytest.mark.parametrize("frames", [{"sae": curves_table(subsets=1, images=1, classes=1)}, tables(y=-0.3)])
def test_nothing_is_cut_or_overlaps(tmp_path, outputs, drawn_figure, frames):
    drawn_from(tmp_path, outputs, frames)
    check_inside(drawn_figure())


def test_local_curves_are_as_long_as_the_shortest(tmp_path, outputs, drawn_figure):
    """An SAE with two active latents has two steps; the others are cut, so that means are comparable."""
    frames = tables()
    local = frames["sae"]["protocol"].str.startswith("local")
    frames["sae"] = frames["sae"][~local | (frames["sae"]["step"] <= 2)]
    drawn_from(tmp_path, outputs, frames)
    numbers = pd.read_csv(outputs["csv"])
    last = numbers.groupby(["protocol", "basis"])["step"].max().unstack()
    assert (last.loc[["local_deletion", "local_insertion"]] == 2).all(axis=None)
    assert (last.loc["global_deletion"] > 2).all()
    own = frames["pca"].query("protocol == 'local_deletion' and method == 'act_x_grad' and step <= 2")
    y = own[own["error_term"] == "frozen"].groupby("step")["y"].mean()
    shown = numbers.query("protocol == 'local_deletion' and basis == 'pca' and step.isna()")["mean_y"]
    assert shown.item() == pytest.approx(y.mean(), rel=1e-5)
    assert [len(line.get_xdata()) for line in drawn_figure().axes[0].get_lines()] == [3, 3, 3]
    assert "(steps 1 to 2: " in outputs["caption"].read_text()
