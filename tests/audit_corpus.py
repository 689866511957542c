"""Equations as people write them, with what an audit has to say: each claim in several styles, and each corrupted."""

from __future__ import annotations

SAME, DIFFERS, UNREAD = "same", "differs", "unread"

# claim, LaTeX, finding; a row of one claim follows its correct forms
CORPUS: list[tuple[str, str, str]] = [
    # ---- han2022
    ("han2022/total-covariance", r"\tilde\Sigma_T = \tilde\Sigma_B + \tilde\Sigma_W", SAME),
    ("han2022/total-covariance", r"\tilde{\Sigma}_W &= \tilde{\Sigma}_T \\ &\quad - \tilde{\Sigma}_B", SAME),
    ("han2022/total-covariance", r"\tilde\Sigma_T^\top - \tilde\Sigma_B^T - \tilde\Sigma_W = 0", SAME),
    ("han2022/total-covariance", r"\tilde\Sigma_T = \tilde\Sigma_B - \tilde\Sigma_W", DIFFERS),
    ("han2022/total-covariance", r"\tilde\Sigma_T = \tilde\Sigma_B + 2\tilde\Sigma_W", DIFFERS),
    ("han2022/total-covariance", r"\tilde\Sigma_T = \tilde\Sigma_B + \tilde\Sigma_T", DIFFERS),
    ("han2022/total-covariance", r"\tilde\Sigma_T = \tilde\Sigma_B", DIFFERS),
    ("han2022/total-covariance", r"\tilde\Sigma_T = \tilde\Sigma_B + \tilde\Sigma_W + I", DIFFERS),
    ("han2022/total-covariance", r"\Sigma_T = \Sigma_B + \Sigma_W", UNREAD),
    ("han2022/total-covariance", r"\hat\Sigma_T = \hat\Sigma_B + \hat\Sigma_W", UNREAD),
    ("han2022/total-covariance", r"\tilde\Sigma_T \preceq \tilde\Sigma_B + \tilde\Sigma_W", DIFFERS),
    (
        "han2022/ls-classifier",
        r"\min_{\tilde W} \mathcal{L}(\tilde W,\tilde H) = \mathcal{L}_{\mathrm{LS}}(\tilde H)"
        r" \quad\text{exactly at}\quad \tilde W = \tilde W_{\mathrm{LS}}",
        SAME,
    ),
    (
        "han2022/ls-classifier",
        r"\min_{\tilde W} \mathcal{L}(\tilde W,\tilde H) = \mathcal{L}_{\mathrm{LS}}(\tilde H)"
        r" \text{ at } \tilde W = \tilde W_{\mathrm{LS}}",
        DIFFERS,
    ),
    (
        "han2022/ls-classifier",
        r"\min_{\tilde W} \mathcal{L}(\tilde W,\tilde H) = \mathcal{L}_{\mathrm{LS}}(\tilde H)",
        DIFFERS,
    ),
    (
        "han2022/ls-classifier",
        r"\min_{\tilde W} \left[2\mathcal{L}(\tilde W,\tilde H)\right] = \mathcal{L}_{\mathrm{LS}}(\tilde H)"
        r" \text{ exactly at } \tilde W = \tilde W_{\mathrm{LS}}",
        DIFFERS,
    ),
    (
        "han2022/central-path-loss",
        r"\min_{W,b} \mathcal L(W,b;H) = \tfrac12 \sum_{j=1}^{C-1} \frac{1}{w_j^2 + C}"
        r" \quad\text{at}\quad W=W_{\mathrm{LS}},\ b=b_{\mathrm{LS}}",
        SAME,
    ),
    (
        "han2022/central-path-loss",
        r"\min_{W,b} \mathcal L(W,b;H) = \sum_{i=1}^{C-1} \frac{1}{2 (w_i^2 + C)}"
        r" \text{ at } b=b_{\mathrm{LS}}, W=W_{\mathrm{LS}}",
        SAME,
    ),
    (
        "han2022/central-path-loss",
        r"\min_{W,b} \mathcal L(W,b;H) = \sum_{j=1}^{C-1} \frac{1}{w_j^2 + C}"
        r" \text{ at } W=W_{\mathrm{LS}}, b=b_{\mathrm{LS}}",
        DIFFERS,
    ),
    (
        "han2022/central-path-loss",
        r"\min_{W,b} \mathcal L(W,b;H) = \tfrac12 \sum_{j=1}^{C-1} \frac{1}{w_j^3 + C}"
        r" \text{ at } W=W_{\mathrm{LS}}, b=b_{\mathrm{LS}}",
        DIFFERS,
    ),
    (
        "han2022/central-path-loss",
        r"\min_{W,b} \mathcal L(W,b;H) = \tfrac12 \sum_{j=1}^{C} \frac{1}{w_j^2 + C}"
        r" \text{ at } W=W_{\mathrm{LS}}, b=b_{\mathrm{LS}}",
        UNREAD,
    ),
    ("han2022/closed-form", r"\dot w = \frac{w}{N(C+w^2)^2} \implies NC^2\ln w + CNw^2 + \tfrac N4 w^4 = a+t", SAME),
    (
        "han2022/closed-form",
        r"\dot{w} = \frac{w}{N(w^2+C)^2} \Longrightarrow N \left(C^2 \log(w) + C w^2 + w^4/4\right) = t + a",
        SAME,
    ),
    (
        "han2022/closed-form",
        r"\dot w = \frac{w}{N(C+w^2)^2} \implies NC^2\ln w + CNw^2 + \tfrac N2 w^4 = a+t",
        DIFFERS,
    ),
    (
        "han2022/closed-form",
        r"\dot w = \frac{w}{N(C+w^2)} \implies NC^2\ln w + CNw^2 + \tfrac N4 w^4 = a+t",
        DIFFERS,
    ),
    (
        "han2022/closed-form",
        r"\dot w = \frac{w}{N(C+w^2)^2} \implies NC^2\ln w - CNw^2 + \tfrac N4 w^4 = a+t",
        DIFFERS,
    ),
    (
        "han2022/closed-form",
        r"\dot w = \frac{w}{N(C+w^2)^2} \implies NC^2 \log w t + CNw^2 = a+t",
        UNREAD,
    ),
    ("han2022/growth", r"\dot w = \frac{w}{N(C+w^2)^2} \implies w(t) \uparrow \infty, \frac{N}{4} w(t)^4 \sim t", SAME),
    (
        "han2022/growth",
        r"\dot w = \frac{w}{N(C+w^2)^2} \implies w(t) \uparrow \infty, \frac{N}{2} w(t)^4 \sim t",
        DIFFERS,
    ),
    (
        "han2022/growth",
        r"\dot w = \frac{w}{N(C+w^2)^2} \implies w(t) \uparrow \infty, \frac{N}{4} w(t)^2 \sim t",
        DIFFERS,
    ),
    (
        "han2022/loss-decay",
        r"\sum_{j=1}^{C-1} \frac{1}{2(C+w_j^2)} \sim \frac{C-1}{2} \sqrt{\frac{N}{4t}},"
        r" \dot w_j = \frac{w_j}{N(C+w_j^2)^2}",
        SAME,
    ),
    (
        "han2022/loss-decay",
        r"\sum_{j=1}^{C-1} \frac{1}{2(C+w_j^2)} \sim \frac{C}{2} \sqrt{\frac{N}{4t}},"
        r" \dot w_j = \frac{w_j}{N(C+w_j^2)^2}",
        DIFFERS,
    ),
    (
        "han2022/affine-invariance",
        r"\inf_{W,b}\mathcal{L}(W,b;H) = \inf_{W,b}\mathcal{L}(W,b;AH+v\mathbf{1}^\top)",
        SAME,
    ),
    (
        "han2022/affine-invariance",
        r"\inf_{W}\mathcal{L}(W,b;H) = \inf_{W,b}\mathcal{L}(W,b;AH+v\mathbf{1}^\top)",
        DIFFERS,
    ),
    ("han2022/affine-invariance", r"\inf_{W,b}\mathcal{L}(W,b;H) = \inf_{W,b}\mathcal{L}(W,b;AH)", UNREAD),
    # ---- dang2023
    ("dang2023/balancedness", r"\lambda_A A_0^\top A_0 = \lambda_B B_0 B_0^T", SAME),
    ("dang2023/balancedness", r"A_0^{\mathsf T} A_0 = \frac{\lambda_B}{\lambda_A} B_0 B_0^{\intercal}", SAME),
    ("dang2023/balancedness", r"\lambda_A A_0^\top A_0 - \lambda_B B_0 B_0^\top = 0", SAME),
    ("dang2023/balancedness", r"A_0^\top A_0 = (\lambda_B/\lambda_A) \, B_0 B_0^\top", SAME),
    ("dang2023/balancedness", r"\lambda_A A_0 A_0^\top = \lambda_B B_0 B_0^\top", DIFFERS),
    ("dang2023/balancedness", r"\lambda_A A_0^\top A_0 = \lambda_A B_0 B_0^\top", DIFFERS),
    ("dang2023/balancedness", r"A_0^\top A_0 = B_0 B_0^\top", DIFFERS),
    ("dang2023/balancedness", r"A_0^\top A_0 = \frac{\lambda_A}{\lambda_B} B_0 B_0^\top", DIFFERS),
    ("dang2023/balancedness", r"\lambda_A A_0^\top A_0 = -\lambda_B B_0 B_0^\top", DIFFERS),
    ("dang2023/balancedness", r"A_0^\top A_0 = \lambda_B/\lambda_A B_0 B_0^\top", UNREAD),
    (
        "dang2023/ridge-features",
        r"H_0 = (W^\top W + N\lambda_H I)^{-1} W^\top Y",
        SAME,
    ),
    (
        "dang2023/ridge-features",
        r"H_0 = \left(\tfrac1N W^\top W + \lambda_H \mathbf{I}_d\right)^{-1} W^\top Y / N",
        SAME,
    ),
    ("dang2023/ridge-features", r"H_0 = (W^\top W + \lambda_H I)^{-1} W^\top Y", DIFFERS),
    ("dang2023/ridge-features", r"H_0 = (W^\top W - N\lambda_H I)^{-1} W^\top Y", DIFFERS),
    ("dang2023/ridge-features", r"H_0 = (W W^\top + N\lambda_H I)^{-1} W^\top Y", DIFFERS),
    ("dang2023/ridge-features", r"H_0 = (W^\top W + N\lambda_H I_K)^{-1} W^\top Y", DIFFERS),
    (
        "dang2023/ridge-features",
        r"\nabla_H \left[\tfrac{1}{2N}\|WH-Y\|_F^2 + \tfrac{\lambda_H}{2}\|H\|_F^2\right]"
        r" = \tfrac1N W^\top(WH-Y) + \lambda_H H",
        SAME,
    ),
    (
        "dang2023/ridge-features",
        r"\nabla_H \left[\tfrac{1}{2N}\|WH-Y\|_F^2 + \tfrac{\lambda_H}{2}\|H\|_F^2\right]"
        r" = \tfrac1N W^\top(WH-Y) + 2\lambda_H H",
        DIFFERS,
    ),
    ("dang2023/balanced-of", r"WW^\top = \lambda_H K n x^M I_K", SAME),
    ("dang2023/balanced-of", r"W W^{\top} &= n K \lambda_H x^{M} \mathbf{I} \nonumber", SAME),
    ("dang2023/balanced-of", r"\frac1n W H Y^\top = \left(1 - \frac{1}{1+x^M}\right) I_K", SAME),
    ("dang2023/balanced-of", r"(1+x^M) W H Y^\top = n x^M I_K", SAME),
    (
        "dang2023/balanced-of",
        r"\frac{1}{Kn}\|WH-Y\|_F^2 + D + \lambda_H\|H\|_{\mathrm F}^2 = \gamma K M x + \frac{1}{1+x^M}",
        SAME,
    ),
    (
        "dang2023/balanced-of",
        r"\frac{1}{Kn}\|WH-Y\|_F^2 + D + \lambda_H\|H\|_F^2 = \gamma M x + \frac{1}{1+x^M}",
        DIFFERS,
    ),
    (
        "dang2023/balanced-of",
        r"\frac{1}{Kn}\|WH-Y\|^2 + D + \lambda_H\|H\|_F^2 = \gamma K M x + \frac{1}{1+x^M}",
        UNREAD,
    ),
    ("dang2023/balanced-of", r"WW^\top = \lambda_H n x^M I_K", DIFFERS),
    ("dang2023/balanced-of", r"WW^\top = \lambda_H K n x^{M+1} I_K", DIFFERS),
    ("dang2023/balanced-of", r"W^\top W = \lambda_H K n x^M I_d", DIFFERS),
    ("dang2023/balanced-of", r"WW^\top = \lambda_H K n x^M I_n", DIFFERS),
    ("dang2023/balanced-of", r"W = \lambda_H K (1+x^M) Y H^\top", SAME),
    ("dang2023/balanced-of", r"W = \lambda_H K (1+x^M) H Y^\top", DIFFERS),
    ("dang2023/balanced-of", r"W = \lambda_H K (1-x^M) Y H^\top", DIFFERS),
    ("dang2023/balanced-of", r"W = \lambda_H K (1+x)^M Y H^\top", DIFFERS),
    ("dang2023/balanced-of", r"W \ge \lambda_H K (1+x^M) Y H^\top", DIFFERS),
    ("dang2023/balanced-etf", r"b = \frac1K \mathbf{1}_K", SAME),
    ("dang2023/balanced-etf", r"K b - 1_K = 0", SAME),
    ("dang2023/balanced-etf", r"b = \mathbf{1}_K", DIFFERS),
    ("dang2023/balanced-etf", r"b = \frac1n \mathbf{1}_K", DIFFERS),
    # ---- garrod2025
    (
        "garrod2025/dnc-suboptimal",
        r"2m-1 > m 2^{2/(L+1)} \text{ for } m \ge 2, L\ge 3 \text{ or } m \ge 3, L = 2",
        SAME,
    ),
    (
        "garrod2025/dnc-suboptimal",
        r"m \, 2^{\frac{2}{L+1}} < 2m-1 \quad\text{if } m \geq 3, L = 2 \text{ or } m > 1, L \geqslant 3",
        SAME,
    ),
    ("garrod2025/dnc-suboptimal", r"2m-1 > m 2^{2/(L+1)}", DIFFERS),
    ("garrod2025/dnc-suboptimal", r"2m-1 > m 2^{2/(L+1)} \text{ for } m \ge 2, L \ge 2", DIFFERS),
    (
        "garrod2025/dnc-suboptimal",
        r"2m-1 \ge m 2^{2/(L+1)} \text{ for } m \ge 2, L\ge 3 \text{ or } m \ge 3, L = 2",
        DIFFERS,
    ),
    (
        "garrod2025/dnc-suboptimal",
        r"2m-1 > m 2^{2/L} \text{ for } m \ge 2, L\ge 3 \text{ or } m \ge 3, L = 2",
        DIFFERS,
    ),
    ("garrod2025/alignment", r"\lambda A_0^\top A_0 = \lambda B_0 B_0^\top", SAME),
    ("garrod2025/alignment", r"\lambda A_0^\top A_0 = \lambda B_0^\top B_0", DIFFERS),
    ("garrod2025/schatten", r"UBP^\top PRQ^\top = UBRQ^\top", SAME),
    ("garrod2025/schatten", r"UBP^\top PRQ^\top = URBQ^\top", DIFFERS),
    ("garrod2025/rank-superiority", r"c p - c \rho q > 0", SAME),
    ("garrod2025/rank-superiority", r"c p > c \rho q", SAME),
    ("garrod2025/rank-superiority", r"c p < c \rho q", DIFFERS),
    # ---- own claims
    (
        "tightframe/odd-pairs",
        r"\nabla_W\left[\tfrac\lambda2\|W\|_F^2 + \tr(G^\top W H)\right] = GH^\top + \lambda W",
        SAME,
    ),
    (
        "tightframe/odd-pairs",
        r"\nabla_W\left[\tfrac\lambda2\|W\|_F^2 + \operatorname{Tr}(HG^\top W)\right] = \lambda W + GH^T",
        SAME,
    ),
    (
        "tightframe/odd-pairs",
        r"\nabla_W\left[\tfrac\lambda2\|W\|_F^2 + \tr(G^\top W H)\right] = G^\top H + \lambda W",
        DIFFERS,
    ),
    ("tightframe/odd-pairs", r"\nabla_W\left[\lambda\|W\|_F^2 + \tr(G^\top W H)\right] = GH^\top + \lambda W", DIFFERS),
    (
        "tightframe/odd-pairs",
        r"\nabla_W\left[\tfrac\lambda2\|W\|_F^2 + \tr G^\top W H\right] = GH^\top + \lambda W",
        UNREAD,
    ),
]
