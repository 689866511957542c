"""A notebook of ten cells: from a claim of a paper to a figure and a citation. Open it with `marimo edit notebook.py`."""

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
    # Verify: the checker, which knows nothing of how the proof was found, replays the certificate.
    (standing,) = papers.verify([claim.id])
    mo.md(f"Verdict: **{standing.verdict}**, from " + ", ".join(piece.prover for piece in standing.evidence))
    return (standing,)


@app.cell
def _(claim, mo, papers):
    # Derive: every step, its reason, and the rule that the checker applied.
    mo.md(papers.document(claim.id))
    return


@app.cell
def _(claim, papers):
    # Predict: the closed form, rounded correctly to as many digits as wanted.
    start = (2.0, 1.0, 0.5)
    predicted = {
        t: papers.predict(claim.id, C=4, N=5, w0=start, t=t)["values"]["w"] for t in (0, 10, 100, 1_000, 10_000)
    }
    predicted
    return predicted, start


@app.cell
def _(papers, start):
    # Simulate: the flow on real features, by a program that does not know the closed form.
    simulated = papers.simulate("central-path", C=4, N=5, p=4, w0=start, t_end=2_000, steps=60)
    simulated["max_relative_deviation"]
    return (simulated,)


@app.cell
def _(simulated):
    # Plot: what was simulated, and the power law to which all of it tends.
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(5, 3.2), layout="constrained")
    times = simulated["t"]
    for number, curve in enumerate(zip(*simulated["w"], strict=True), 1):
        axes.loglog(times[1:], curve[1:], label=f"$w_{number}$")
    axes.loglog(times[1:], [(4 * t / simulated["N"]) ** 0.25 for t in times[1:]], "k--", label="$(4t/N)^{1/4}$")
    axes.set(xlabel="$t$", ylabel="SNR singular values")
    axes.legend()
    figure
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
    from tightframe.papers import notation

    elsewhere = papers.cite([claim.id], notation=notation.load("dang2023"))
    mo.md(f"```latex\n{elsewhere}```")
    return (elsewhere,)


@app.cell
def _(equation, mo, papers):
    # Audit: a slip on the way into the manuscript is found.
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        manuscript = Path(folder, "paper.tex")
        manuscript.write_text(equation.replace(r"\frac{N}{4} w", r"\frac{N}{2} w"), encoding="utf-8")
        audited = papers.audit(manuscript)
    mo.md("\n".join(f"- {each.claim}: **{each.finding}**, {each.detail}" for each in audited.all))
    return (audited,)


if __name__ == "__main__":
    app.run()
