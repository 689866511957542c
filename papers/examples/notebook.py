"""A notebook of ten cells, from a claim of a paper to a figure and a citation: `marimo edit notebook.py`."""

import marimo

app = marimo.App(app_title="From a claim to a citation")


@app.cell
def _():
    import marimo as mo
    from tightframe import papers

    mo.md(
        """
        # From a claim to a citation

        Han, Papyan and Donoho (2022) follow the features of a least-squares classifier along a flow and find that every
        singular value of the signal-to-noise matrix moves by itself, on a curve that can be written down. This notebook
        looks the claim up, has its proof checked, evaluates the curve, simulates the flow beside it, and ends with what
        goes into a manuscript.
        """
    )
    return mo, papers


@app.cell
def _(mo, papers):
    claim = papers.find("han2022/closed-form")
    mo.md(f"**{claim.title}**\n\n$${claim.statement_latex()}$$")
    return (claim,)


@app.cell
def _(claim, mo, papers):
    # Verify: the checker, which knows nothing of how the proof was found, replays the shipped certificate.
    replayed = papers.recheck([claim.id])
    verdict = papers.standing(claim).verdict_text()
    mo.md(
        f"Verdict: **{verdict}**. Replayed now: {len(replayed.accepted)} accepted, {len(replayed.problems)} rejected."
    )
    return (replayed,)


@app.cell
def _(claim, mo, papers):
    # Derive: every step, its reason, and the rule that the checker applied.
    mo.md(papers.document(claim.id))
    return


@app.cell
def _(claim, mo, papers):
    # Predict: the closed form, rounded correctly to as many digits as wanted.
    start = (2, 1)
    predicted = {
        t: papers.predict(claim.id, C=3, N=4, w0=start, t=t, digits=12)["values"]["w"] for t in (1, 10**3, 10**6)
    }
    mo.md("\n".join(f"- $t = {t}$: {', '.join(values)}" for t, values in predicted.items()))
    return predicted, start


@app.cell
def _(mo, papers, start):
    # Simulate: the flow on real features, by a program that does not know the closed form.
    simulated = papers.simulate("central-path", C=3, N=4, p=3, w0=start, t_end=40, steps=16)
    mo.md(f"Largest relative deviation from the closed form: {simulated['max_relative_deviation']:.1e}")
    return (simulated,)


@app.cell
def _(mo, simulated):
    # Plot: what was simulated, and the power law to which all of it tends.
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(5, 3.2), layout="constrained")
    times = simulated["t"]
    pairs = zip(
        zip(*simulated["simulated"]["w"], strict=True), zip(*simulated["predicted"]["w"], strict=True), strict=True
    )
    for number, (curve, closed) in enumerate(pairs, 1):
        axes.plot(times, curve, "o", markersize=4, label=f"$w_{number}$, simulated")
        axes.plot(times, closed, "k-", linewidth=0.8, label="closed form" if number == 1 else None)
    axes.set(xlabel="$t$", ylabel="SNR singular values")
    axes.legend()
    mo.as_html(figure)
    return (figure,)


@app.cell
def _(claim, mo, papers):
    # Cite: the equation with its label, and a comment that says what stands behind it.
    equation = papers.cite([claim.id])
    mo.md(f"```latex\n{equation}```")
    return (equation,)


@app.cell
def _(claim, mo, papers):
    # The same in the letters of another paper.
    from tightframe.papers.writing import notation

    elsewhere = papers.cite([claim.id], notation=notation.load("dang2023"))
    mo.md(f"```latex\n{elsewhere}```")
    return (elsewhere,)


@app.cell
def _(equation, mo, papers):
    # Audit: a slip on the way into the manuscript is found.
    import tempfile
    from pathlib import Path

    slip = equation.replace(r"\frac{N}{4}", r"\frac{N}{2}")
    with tempfile.TemporaryDirectory() as folder:
        manuscript = Path(folder, "paper.tex")
        manuscript.write_text(slip, encoding="utf-8")
        audited = papers.audit(manuscript)
    mo.md("\n".join(f"- {each.claim}: **{each.finding}**, {each.detail}" for each in audited.all))
    return (audited,)


if __name__ == "__main__":
    app.run()
