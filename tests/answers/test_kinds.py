# ruff: noqa: E501 -- tables of short pairs read best in rows
"""The kinds of answers that graders get wrong, many of each: what is equal, and what is close to it
and is not. Whole responses where extraction is the question."""

import json

import pytest

from s1_eval.answers import grader
from s1_eval.answers.equivalence import compare


def pairs(*rows):
    """(gold, answer, equal) of `gold == answer, answer …  != answer, answer …`."""
    return [(gold, answer, equal) for gold, same, other in rows
            for equal, answers in ((True, same), (False, other)) for answer in answers]  # fmt: skip


PRECISION = pairs(
    (r"\frac{1}{2010!}", [r"\frac{1}{2010 \cdot 2009!}"], [r"\frac{1}{2012!}", r"\frac{2}{2010!}", "0"]),
    ("e^{-1000}", [r"\frac{1}{e^{1000}}"], ["e^{-1001}", "0", "2e^{-1000}", "-e^{-1000}"]),
    (r"e^{-700}+1", [r"1+\frac{1}{e^{700}}"], ["1", "1+e^{-701}"]),
    (r"(2+\sqrt{3})^{50}+(2-\sqrt{3})^{50}", [r"(2-\sqrt{3})^{50}+(2+\sqrt{3})^{50}"],
     [r"(2+\sqrt{3})^{50}", r"(2+\sqrt{3})^{50}+1"]),
    (r"(3+2\sqrt{2})^{12}", [r"(17+12\sqrt{2})^{6}"], [r"(3+2\sqrt{2})^{12}+(3-2\sqrt{2})^{12}"]),
    (r"(1+\sqrt{2})^{40}-(1-\sqrt{2})^{40}", [], [r"(1+\sqrt{2})^{40}"]),
    (r"\frac{\sqrt{5}}{10^{300}}", [r"\sqrt{5}\cdot 10^{-300}"], [r"\frac{\sqrt{7}}{10^{300}}", "0"]),
    (r"\frac{\pi}{10^{15}}", [r"\pi \cdot 10^{-15}"], [r"\frac{3\pi}{10^{15}}"]),
    (r"1-\frac{1}{e^{40}}", [r"1-e^{-40}"], ["1", r"1-e^{-41}"]),
    (r"\tanh(30)", [r"\frac{e^{60}-1}{e^{60}+1}"], ["1"]),
    ("262537412640768744", [], [r"e^{\pi\sqrt{163}}"]),
    (r"\sqrt{2}+\sqrt{3}", [r"\sqrt{5+2\sqrt{6}}"], [r"\pi", r"\sqrt{5+2\sqrt{6}}+10^{-30}"]),
    (r"\sqrt[3]{2+\sqrt{5}}+\sqrt[3]{2-\sqrt{5}}", ["1"], ["1.0000001"]),
    (r"\cos\frac{\pi}{7}\cos\frac{2\pi}{7}\cos\frac{4\pi}{7}", [r"-\frac{1}{8}"], [r"\frac{1}{8}"]),
    (r"\arctan 1 + \arctan 2 + \arctan 3", [r"\pi"], [r"\pi+10^{-40}"]),
    (r"\log_2 3", [r"\frac{\ln 3}{\ln 2}", r"\log_4 9"], [r"\log_3 2", "1.58496"]),
    ("10^{300}+1", ["1+10^{300}"], ["10^{300}"]),
    ("2^{-1074}", [r"\frac{1}{2^{1074}}"], ["2^{-1075}", "0"]),
    (r"x + 10^{-30}", [r"10^{-30} + x"], ["x", r"x+10^{-31}"]),
    (r"x\pi", [r"\pi x"], [r"x\pi + 10^{-25}"]),
    (r"\left(1+\frac{1}{10^{20}}\right)x", [], ["x"]),
    (r"500!", [r"500\cdot 499!"], ["501!", "500!+1"]),
    (r"\frac{355}{113}", [], [r"\pi", "3.14159265"]),
    (r"\frac{22}{7}", ["3.142857142857143", r"\frac{44}{14}"], [r"\pi"]),
    ("3^{5000}", ["9^{2500}"], ["3^{4999}", "3^{5000}-1"]),
    (r"\sqrt{10^{40}+1}", [], ["10^{20}"]),
)  # fmt: skip

DIVISION = pairs(
    (r"\frac{x}{2}", ["1/2*x", r"1/2 \cdot x", "(1/2)x", "0.5x", "x*1/2"], ["1/(2x)", r"\frac{1}{2x}"]),
    (r"\frac{1}{2x}", ["1/(2*x)", "1/(2x)"], ["1/2*x", r"1/2 \cdot x"]),
    (r"\frac{ac}{b}", ["a/b*c", r"a/b \times c", "c*a/b"], [r"\frac{a}{bc}", "a/(b*c)"]),
    (r"\frac{3\pi}{4}", ["3/4*pi", r"3/4 \cdot \pi", r"3\pi/4"], [r"\frac{3}{4\pi}", "3/(4*pi)"]),
    (r"-\frac{2}{3}x+5", ["-2/3*x + 5", "y = -2/3*x+5", "5 - 2/3*x"], [r"-\frac{2}{3x}+5"]),
    (r"\frac{a}{b}\cdot\frac{c}{d}", ["a/b*c/d"], ["a/(b*c/d)"]),
    (r"\frac{3\sqrt{2}}{2}", ["3/2*sqrt(2)", r"3/2\cdot\sqrt2"], [r"\frac{3}{2\sqrt{2}}", "3/(2*sqrt(2))"]),
    ("12", ["6/2*4", r"6/2\cdot 4", "24/2"], ["6/(2*4)"]),
    (r"\frac{x^2 y}{z}", ["x^2/z*y", "x*x*y/z"], ["x^2/(z*y)"]),
)  # fmt: skip

RELATIONS = pairs(
    ("20", ["x = 20", "P(A) = 20", "|AB| = 20", "f(2) = 20", "a_{10} = 20", "AB = 20", "f(-1)=20",
            r"\text{Area} = 20", r"\overline{AB} = 20", r"S_n = 20", r"P(A \cap B) = 20", "P(A|B)=20",
            r"\angle ABC = 20", r"m\angle A = 20", r"\|\vec{v}\| = 20", r"\text{Number of ways} = 20",
            r"x + y = 20", "abc = 20", r"\frac{dy}{dx} = 20", r"\frac{AB}{CD} = 20", "f(f(2)) = 20",
            r"\gcd(40, 60) = 20", r"\det A = 20", "[ABC] = 20", r"2x = 40 \implies x = 20", "20 = x",
            r"x_1 + x_2 = 20", r"n(A\cup B) = 20", "f'(3) = 20", r"\sum_{k=1}^{4} 2k = 20", "E[X] = 20",
            r"x = \frac{40}{2} = 20", "10 + 10 = 20", r"\lim_{x \to 0} f(x) = 20", r"|z| = 20",
            r"\max f = 20", r"x \approx 20"],
     ["2x = 20", "x^2 = 20", "x^3 = 20", "x + 5 = 20", "3x - 1 = 20", r"\sqrt{x} = 20", "2^x = 20",
      r"\frac{x}{2} = 20", "x! = 20", "|x| = 20", "|x - 3| = 20", r"\log_2 x = 20", r"x^2 + 1 = 20",
      r"5x = 20", r"x(x+1) = 20", r"e^x = 20", r"\ln x = 20", "-x = 20", "20 = 2x", "20 = x^2",
      r"x \ne 20", r"x > 20", r"x \ge 20", r"x^2 - x = 20", "4y = 20", "20x = 20", r"\frac{1}{x} = 20"]),
    ("x = 5", ["5 = x", "5", "x=5.0", "$x$ = 5"], ["y = 5", "x = -5", "2x = 5", "5 = y"]),
    ("AB = 7", ["7", "7 = AB"], ["CD = 7", "AB = 8"]),
    ("y = 2x + 1", ["2x+1", "2x + 1 = y", "y - 2x = 1", "2x - y + 1 = 0"], ["y = 2x - 1", "x = 2y + 1"]),
    (r"\sin A = \frac{3}{5}", [r"\frac{3}{5}", "0.6"], [r"\frac{4}{5}", r"\cos A = \frac{3}{5}"]),
    ("f(2) = 5", ["5"], ["f(3) = 5", "6"]),
    ("x^2+y^2=25", ["25 = x^2 + y^2", "2x^2+2y^2=50", "x^2 = 25 - y^2"], ["25", "x^2+y^2=5", "x^2-y^2=25"]),
    ("x+y<3", ["3 > x + y", "2x + 2y < 6", "x < 3 - y", "-x-y > -3"], ["x+y>3", r"x+y \le 3", "x+y<4"]),
    ("xy = 1", [r"y = \frac{1}{x}"], [r"y = x", r"y=\frac{2}{x}"]),
    ("x=2, y=-1", ["(2,-1)", "y=-1, x=2", r"x=2 \text{ and } y=-1"], ["(-1,2)", "x=-1, y=2", "y=2, x=-1"]),
    ("(2,-3,5)", ["x=2,y=-3,z=5", "z=5, x=2, y=-3", "(x,y,z)=(2,-3,5)"], ["x=2,y=5,z=-3", "z=2,y=-3,x=5"]),
    ("5", [r"\mathbb{E}[X] = 5", r"\#A = 5", r"\mathbb{P}(A) = 5"], ["P(A) = 6"]),
)  # fmt: skip

SETS = pairs(
    (r"\mathbb{R}", [r"(-\infty,\infty)", r"\text{all real numbers}", "all real numbers", "ℝ", r"\R",
                     r"x \in \mathbb{R}", r"(-\infty, +\infty)", r"\text{All reals}", "All real numbers.",
                     r"-\infty < x < \infty", r"\{x : x \in \mathbb{R}\}", r"\{x \mid x \in \mathbb{R}\}",
                     r"(-\infty,0]\cup(0,\infty)"],
     [r"(0,\infty)", r"[0, \infty)", r"\mathbb{Z}", r"\mathbb{R}\setminus\{0\}", r"\text{all integers}", r"\emptyset"]),
    ("(-2,2)", ["|x|<2", "-2<x<2", "2 > |x|", r"x \in (-2,2)", r"x > -2 \text{ and } x < 2", "x > -2, x < 2",
                r"(-\infty,2)\cap(-2,\infty)", r"\{x : |x| < 2\}", r"\{x \in \mathbb{R} \mid -2 < x < 2\}",
                "x^2 < 4", r"|x| - 2 < 0"],
     [r"|x| \le 2", "[-2,2]", "|x|>2", "-2 < x < 3", r"x < -2 \text{ or } x > 2", "|x|<4", "(-2,2]"]),
    (r"(-\infty,-3)\cup(3,\infty)", ["|x|>3", r"x<-3 \text{ or } x>3", r"\mathbb{R}\setminus[-3,3]",
                                     r"x^2 > 9", r"(3,\infty)\cup(-\infty,-3)", "3 < |x|"],
     [r"|x|\ge 3", r"(-\infty,-3]\cup[3,\infty)", r"\mathbb{R}\setminus(-3,3)", "|x|<3", r"(-3, 3)"]),
    (r"(-\infty,2)\cup(2,\infty)", [r"x \ne 2", r"x \neq 2", r"\mathbb{R}\setminus\{2\}", r"\mathbb{R}-\{2\}",
                                    r"\text{all real numbers except } 2", "all real numbers except 2",
                                    r"\{x \mid x \ne 2\}", r"x \in \mathbb{R}, x \ne 2", r"\mathbb{R} \backslash \{2\}",
                                    r"x < 2 \text{ or } x > 2"],
     [r"x \ne 3", r"\mathbb{R}", r"\mathbb{R}\setminus\{-2\}", "x=2", "2", r"x \ne 2, 3"]),
    (r"(-\infty,1)\cup(1,3)\cup(3,\infty)", [r"x \ne 1, 3", r"\mathbb{R}\setminus\{1,3\}", r"x \ne 1 \text{ and } x \ne 3"],
     [r"x \ne 1", "1, 3", r"x \ne 1, -3"]),
    (r"[0,1)\cup(1,2]", [r"[0,2]\setminus\{1\}", r"0 \le x \le 2, x \ne 1"], ["[0,2]", r"(0,2)\setminus\{1\}"]),
    (r"[\sqrt{3},\infty)", [r"x \ge \sqrt{3}", r"[\frac{3}{\sqrt{3}}, \infty)", r"\sqrt3 \le x"],
     [r"x > \sqrt{3}", r"[\sqrt{2}, \infty)", r"(\sqrt{3}, \infty)", r"(-\infty, \sqrt{3}]"]),
    ("(0,4)", ["0<x<4", r"0 < x^2 < 16, x > 0", r"(0,2]\cup[2,4)", r"(0,2]\cup(2,4)", "|x-2|<2", "|2-x| < 2"],
     [r"(0,2)\cup(2,4)", "[0,4]", "0<x<5", r"|x-2|\le 2"]),
    (r"(1,5)", [r"(1,3]\cup[3,5)"], [r"(1,3)\cup(3,5)"]),
    ("(0,1)", ["0<x<1", "]0,1["], [r"\{0,1\}", "(1,0)", "[0,1]", "]0,1]"]),
    (r"\{1,2\}", ["2,1", r"\{2,1\}"], ["(1,2)", r"\{1,3\}"]),
    (r"]-\infty,2[", [r"(-\infty,2)", "x<2", r"x \in \left]-\infty,2\right["], [r"]-\infty,2]", "x>2"]),
    (r"[2,7)", ["[2,7["], ["]2,7[", "]2,7]", "[2,7]"]),
    (r"\mathbb{Z}", [r"\mathbb Z", r"\Bbb{Z}"], [r"\mathbb Q"]),
    (r"\mathbb{R}", [r"\mathbf{R}", r"\Bbb R", r"x\in\mathbb R"], [r"\mathbf{Q}"]),
    (r"\text{no solution}", ["There are no solutions", r"\text{There is no solution}"], ["0", r"\text{one solution}"]),
    (r"\emptyset", [r"\{\}", r"\varnothing", r"\text{no solution}", "∅"], [r"\{0\}", "0", r"\mathbb{R}"]),
    ("x>3", ["3<x", r"(3,\infty)", r"x \in (3,\infty)", r"2x > 6"], ["x<3", r"x\ge 3", r"[3,\infty)", "y>3"]),
    (r"[-1,1]", [r"|x|\le 1", r"x^2 \le 1", r"-1\le x\le 1", "1 ≥ x ≥ -1", r"|x| \leqslant 1"], [r"|x|<1", r"\{-1,1\}"]),
)  # fmt: skip

NOTATION = pairs(
    ("20", ["€20", "20€", "£20", "¥20", "₹20", "Rs. 20", "Rs 20", r"\text{Rs. }20", r"\text{€}20", "20 euros",
            r"20\text{ USD}", r"\pounds 20", r"\$20", r"20\$", r"\text{\$}20", "US$20", r"20 \text{ pounds}", "20 EUR",
            r"\textsterling 20", r"\texteuro 20", r"\text{£}20", r"\text{\pounds}20", "₹ 20", r"20 \text{ rupees}"],
     ["€21", "€200", r"\text{Rs. }2", "-€20"]),
    (r"\$20", ["20", r"20 \text{ dollars}", "$20"], ["€20", "£20", r"20 \text{ cents}", "Rs. 20"]),
    ("0.0065", ["6.5E-3", "6.5e-3", r"6.5\times 10^{-3}", "6.5E-03", r"6.5\cdot10^{-3}", "6.5 x 10^-3", "6.5*10^-3",
                r"6.5E-3 \text{ m}", "6.5 × 10⁻³", r"x = 6.5E-3"], ["6.5E-4", "6.5E3", "6.5"]),
    ("120000", ["1.2E5", "1.2e5", "1.2E+5", r"1.2 \times 10^5", "1.2 x 10^5", "1.2×10⁵", "120,000"], ["1.2E6", "1.25"]),
    ("3.141592653589793", [r"\pi"], [r"\frac{22}{7}", "3", r"\pi+0.0001", "3.1416"]),
    ("0.7071067811865476", [r"\frac{\sqrt{2}}{2}", r"\frac{1}{\sqrt{2}}"], [r"\frac{1}{\sqrt{3}}", "0.7071"]),
    ("0.6666666666666666", [r"\frac{2}{3}"], [r"\frac{3}{4}", r"\frac{1}{3}"]),
    ("2.718281828", ["e"], ["e+0.00001", "2.7"]),
    ("0.14285714", [r"\frac{1}{7}"], [r"\frac{1}{8}", r"\frac{2}{7}"]),
    ("12", [r"\color{red}{12}", r"\color{blue}12", r"\textcolor{red}{12}", r"{\color{red} 12}", r"\large 12", r"\Large{12}",
            r"\huge 12", r"\displaystyle 12", r"{\bf 12}", r"\mathbf{12}", r"\underline{12}", r"12 \checkmark", r"\small 12",
            r"12\tag{1}", r"\colorbox{yellow}{12}", r"\color[rgb]{1,0,0}{12}", r"\bf 12", r"12^{\text{th}}", "12th",
            r"12\text{th}", r"12^{th}", r"12^\text{th}", r"12^{\mathrm{th}}", r"\text{12th}", r"\textbf{12}", r"\bm{12}",
            "12 chickens", "12 people", "12 ways", "12 hours", "12 small boxes",
            r"12\,\mathrm{m}", r"12\ \mathrm{kg}", r"12\ \mathrm{m/s^2}", r"12\,\mathrm{m\,s^{-1}}", r"12\ \text{units}^3",
            r"12\,\mathrm{kg\cdot m/s^2}", r"12\ \mathrm{cm}^3", r"12~\text{m}^2", r"12\ \mathrm{N\cdot m}", "12 cm²",
            r"12\,\mathrm{J}", r"12 \text{ km/h}", r"12\ \mathrm{mol}", r"\SI{12}{m}", r"12\ \mathrm{\Omega}", "12 men",
            r"12\,\text{m}\,\text{s}^{-1}", r"12 \mathrm{~km}"],
     ["12 squared", "12 thousand", "12 million", r"\color{red}{13}", "12 or more", "12x", "12abc", "12 halves", "12 hundredths",
      r"12\pi", "at least 12", "12 factorial", r"12\mathrm{e}", r"\not 12", "12 less than 5", "12 plus 5", r"12^2", "21st"]),
    (r"12 \text{ m/s}", [r"12\ \mathrm{m\,s^{-1}}", r"12\,\mathrm{m/s}", r"12\ \text{meters per second}", "12"],
     [r"12 \text{ km/h}", r"12\ \mathrm{m/s^2}", r"12 \text{ m}", r"12\ \mathrm{m\,s}"]),
    (r"12 \text{ cm}^2", [r"12\ \mathrm{cm^2}", r"12\text{ square centimeters}", r"12\ \mathrm{cm}^2", "12 cm²", "12"],
     [r"12\text{ cm}", r"12\text{ cm}^3", r"12\ \mathrm{m^2}"]),
    (r"\frac{3}{4}", ["^3/_4", r"\sfrac{3}{4}", r"\nicefrac{3}{4}", "{}^3/_4", "^{3}/_{4}", "3/4", "³⁄₄", "³/₄", "¾", r"{3 \over 4}",
                      r"\tfrac34", r"\dfrac{3}{4}", "0.75", r"75\%", r"3 \div 4", "3⁄4"],
     [r"\sfrac{4}{3}", "^4/_3", "34", "3_4"]),
    (r"1\frac{3}{4}", ["1.75", "1 3/4", r"\frac{7}{4}", "1¾", "1 ^3/_4"], [r"\frac{3}{4}", "13/4"]),
    (r"\frac{5}{8}", ["⅝", "0.625"], ["⅞"]),
    (r"\cos 20^\circ", [r"\cos(20^\circ)", r"\sin 70^\circ", r"\cos 20°", r"\sin(70^{\circ})", r"\cos\frac{\pi}{9}", r"\cos 340^\circ"],
     [r"\cos 20", r"\sin 20^\circ", r"\cos 70^\circ", r"-\cos 20^\circ"]),
    (r"\sin^2 15^\circ", [r"\frac{2-\sqrt{3}}{4}"], [r"\sin 15^\circ"]),
    (r"2\sin 10^\circ", [r"2\cos 80^\circ"], [r"\sin 20^\circ"]),
    (r"\sum_{k=1}^{n} k", [r"\frac{n(n+1)}{2}", r"\sum_{j=1}^{n} j", r"\frac{n^2+n}{2}", r"\binom{n+1}{2}"],
     [r"\frac{n(n-1)}{2}", "n", r"\sum_{k=0}^{n} k^2", r"\sum_{k=1}^{n-1} k"]),
    (r"\sum_{k=0}^{n} 2^k", ["2^{n+1}-1"], ["2^n-1", "2^{n+1}"]),
    (r"\sum_{k=1}^{n} k^2", [r"\frac{n(n+1)(2n+1)}{6}"], [r"\frac{n(n+1)}{2}"]),
    (r"\sum_{k=1}^{10} k", ["55"], ["54", "45"]),
    (r"\prod_{k=1}^{n} k", ["n!"], ["(n-1)!"]),
    (r"\sum_{k=1}^{\infty} \frac{1}{k^2}", [r"\frac{\pi^2}{6}"], [r"\frac{\pi^2}{8}", r"1.64"]),
    (r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}", ["[[1,2],[3,4]]", "[[1, 2], [3, 4]]", r"\begin{bmatrix}1&2\\3&4\end{bmatrix}",
                                                       "((1,2),(3,4))", "[ [1,2], [3,4] ]"],
     ["[[1,3],[2,4]]", "[1,2,3,4]", "[[1,2],[3,5]]", "[[1,2],[3,4],[5,6]]", "[[1,2]]"]),
    ("[[1,2],[3,4]]", [r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}"], [r"\begin{pmatrix} 1 & 3 \\ 2 & 4 \end{pmatrix}"]),
    (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", ["(1,2)", r"\langle 1,2\rangle", "[[1],[2]]", "[1,2]", r"(1,2)^T"], ["(2,1)", "(1,2,3)"]),
    (r"1, 2, \ldots, n", [r"1,2,\dots,n", r"1, 2, 3, \ldots, n", "1, 2, ..., n", "1,2,…,n", r"\{1,2,\cdots,n\}"],
     [r"1,3,5,\ldots,2n-1", r"1,2,\ldots,n-1", r"0,1,\ldots,n", "1,2,n", r"2,3,\ldots,n", r"1,2,4,\ldots,n"]),
    (r"\{1, 2, \ldots, 6\}", [r"\{1,2,3,4,5,6\}", "1, 2, 3, ..., 6"], [r"\{1,2,\ldots,7\}", "1,2,6", r"\{1,2,3,4,5\}"]),
    (r"2, 4, 6, \ldots, 20", [r"2,4,\ldots,20"], [r"2,4,6,\ldots,22", r"2, 4, 8, \ldots, 20"]),
    (r"1,2,4,\ldots,64", ["1,2,4,8,16,32,64"], [r"1,2,\ldots,64", "1,2,4,64"]),
    ("x^{10}", ["x¹⁰", "x**10"], ["x^1 0", "10x"]),
    ("3.5", ["3{,}5", r"\frac{7}{2}"], ["35", "3,5"]),
    (r"\frac{1}{3}", [r"0.\overline{3}", r"0.\dot{3}", "0.(3)"], ["0.3", "0.33"]),
    ("3:4", ["3 : 4", r"3 \colon 4", "3{:}4"], ["4:3", "(3,4)", "3,4", "34", "3"]),
    ("11:30", ["11{:}30", "11:30"], ["1:30", "11:03", "11:3", "30"]),
    (r"|x-3|", [r"\lvert 3-x \rvert", r"\left|x-3\right|"], ["x-3", "|x+3|"]),
    (r"\|v\| = 3", ["3"], ["4"]),
    (r"\sqrt{1/n}", [r"\frac{1}{\sqrt{n}}", r"n^{-1/2}"], [r"\sqrt{n}", r"\frac{1}{n}"]),
    (r"\ln(x^3)", [r"3\ln x"], [r"2\ln x", r"\ln(3x)"]),
    ("(-1)^n", [r"\cos(n\pi)"], ["1", r"(-1)^{n+1}"]),
    ("0.00034", [r"3.4\text{e-}4", r"3.4\mathrm{e-4}", r"3.4\text{E}-4", "3.4e-4"], [r"3.4\text{e-}3", "3.4-4"]),
    ("2e+1", ["1+2e", r"2\mathrm{e}+1"], ["20"]),
    ("0.0000002", ["2e-7"], ["2e-1"]),
    (r"\frac{5}{11}", [r"0.\overline{45}", r"0.454545\ldots"], ["0.45", r"0.\overline{54}", "0.4545"]),
    (r"\frac{1}{6}", [r"0.1\bar6", r"0.1\bar{6}", "0.1666..."], [r"0.\bar{16}", "0.1666"]),
    ("1234567", ["1'234'567", r"1\!,\!234\!,\!567"], ["1'234'576"]),
    (r"\begin{pmatrix}1&1\\0&1\end{pmatrix}", [r"\{\{1,1\},\{0,1\}\}", "{{1,1},{0,1}}"],
     [r"\{\{1,0\},\{1,1\}\}", r"\{1,1,0,1\}"]),
    ("110_2", ["110_{(2)}"], ["110_{(3)}", "101_{(2)}"]),
    ("5:2", [r"5\text{ to }2", "5 to 2"], ["2 to 5"]),
    (r"\binom{n}{3}", ["C(n,3)", "^nC_3", r"{}_{n}C_{3}"], ["C(3,n)", "^nC_2", "^nP_3"]),
    (r"\binom{8}{3}", ["C_8^3", "56"], ["C_8^2"]),
    (r"\log_2 10", [r"\lg 10/\lg 2", r"\ln 10/\ln 2"], [r"\ln 10/\ln 3", r"\ln 5"]),
    (r"\frac{\ln 2}{2}", [r"\ln 2/2"], ["0"]),
    (r"\sum_{k=1}^{n} a_k", [r"\sum_{i=1}^{n} a_i"], ["n a_k", r"\sum_{k=1}^{n-1} a_k", r"\sum_{k=1}^{n} b_k"]),
    (r"\sum_{k=1}^{n} x_k y_k", [r"\sum_{i=1}^{n} y_i x_i"], [r"\sum_{k=1}^{n} x_k^2", "n x_k y_k"]),
    ("2^n", [r"\sum_{k=0}^{n}\binom{n}{k}"], [r"\sum_{k=1}^{n}\binom{n}{k}"]),
    (r"x\equiv 2\pmod 5", [r"x\equiv2\ (\text{mod }5)", r"x\equiv 2\mod 5"], [r"x\equiv 3\pmod5", r"x\equiv2\pmod 7"]),
    (r"\text{(C)}", [r"\textbf{(C)}\ 9", "C"], [r"\textbf{(D)}\ 9", "9"]),
    ("9", [r"\textbf{(C)}\ 9"], [r"\textbf{(C)}\ 8", r"\textbf{(9)}\ 8"]),
    (r"\textbf{(C)}\ 9", ["9", r"\text{(C)}"], [r"\textbf{(D)}\ 9"]),
    (r"\text{infinitely many}", [r"\text{There are infinitely many solutions}"], [r"\text{finitely many solutions}"]),
)  # fmt: skip


def _ids(rows):
    return [f"{gold} {'==' if equal else '!='} {answer}"[:80] for gold, answer, equal in rows]


ALL = PRECISION + DIVISION + RELATIONS + SETS + NOTATION


@pytest.mark.parametrize(("gold", "answer", "equal"), ALL, ids=_ids(ALL))
def test_of_every_kind(gold, answer, equal):
    compared = compare(gold, answer)
    assert compared.equal is equal, compared
    assert not equal or compare(gold, gold).equal
    assert grader("math").grade(rf"So it is \boxed{{{answer}}}.", gold).correct is equal


@pytest.mark.parametrize("gold", list(dict.fromkeys(row[0] for row in ALL)))
def test_every_such_target_can_be_read(gold):
    grader("math").check_target(gold)


RESPONSES = pairs(
    ("12", ["12 chickens", "There are 12 chickens.", "Final Answer: 12\n\nI hope the answer is clear.",
            "#### 12", "So the total is 3*4=12.\n#### 12", "<answer>12</answer>", "Let me think.\n<answer> 12 </answer>",
            "The answer is 12. Let me verify that the answer is correct: 3*4=12.", "Final Answer: 12 chickens",
            "**Final Answer:** 12", "### Final Answer\n\n12", "### Final Answer\n**12**", "The final answer is **12**.",
            "Final Answer: 12. The answer is not 13.", "The answer is 12, not 13.", "The answer is 12; 13 is wrong.",
            "We might think the answer is 13, but the answer is 12.", "The answer is not 13. The answer is 12.",
            "Answer: 12\n\nNote that the answer is not 13.", "The answer is $12$. I hope it is correct.",
            r"The value is $\boxed{12}$ chickens", r"First \boxed{3}. Final Answer: 12", "So we get **12**.",
            "There are **12** ways to choose from the 30 people.", r"\[Answer: 12\]", "Answer: $12$ (see above)",
            "The total number of apples is $12$.", r"the answer is \(12\)", "Answer: 12.", "ANSWER: 12", "```\n12\n```",
            "The answer is: 12", "Therefore, the answer is therefore 12.", "The correct answer is 12 apples.",
            r"<think>\boxed{13}?</think>The answer is 12.", "The answer is not 11 but 12.", "The answer is not 11 but rather 12.",
            '{"answer": 12, "note": "13"}', 'Here:\n```json\n{"answer": "12"}\n```', "The answer is 12.<|im_end|>"],
     ["Final Answer: 13\n\nI hope the answer is clear. It was 12.", "#### 13", "The answer is not 12.",
      "The answer is not 12, it is 13.", "The answer is 13, not 12.", r"I had \boxed{12}. Final Answer: 13",
      "<answer>13</answer> rather than 12", "The answer isn't 12.", "The answer is never 12.", "Answer: not 12",
      r"<think>\boxed{12}</think> The answer is 13.", r"\boxed{12}</think>", "The answer is not 12 but 13.", '{"answer": 13} 12',
      "Final Answer: 12x", "I don't know.", ""]),
    (r"m \ge \sqrt{3}", [r"the solution is $m \in [\sqrt{3}, +\infty)$", r"so $m\ge\sqrt3$ holds", r"We need $m \geq \sqrt{3}$."],
     [r"the solution is $m > \sqrt{3}$"]),
    (r"\text{odd}", ["The function is **odd**.", "odd", "Odd.", "The answer is odd.", r"\boxed{\text{Odd}}", "**odd**"],
     ["The function is **even**.", "The function is not **odd**.", "The answer is not odd."]),
    (r"\text{Friday}", ["The answer is Friday.", "Answer: Friday", "It falls on a **Friday**.", "friday"],
     ["The answer is Monday.", "The answer is not Friday."]),
    ("3, 5", [r"\boxed{3} and \boxed{5}", "The answers are $3$ and $5$.", "Answer: 3 and 5", "Answer: 5, 3"], [r"\boxed{3}", "Answer: 3"]),
    ("(3,5)", [r"\boxed{x=3},\ \boxed{y=5}", r"\boxed{y=5}\quad\boxed{x=3}"], [r"\boxed{x=5},\ \boxed{y=3}"]),
    (r"\text{no solution}", ["There is no solution."], ["The solution is 0."]),
    ("x^2+1", ["Thus the polynomial is $x^2+1$.", "$x^2+1$", "Answer: $f(x) = x^2+1$"], ["Thus it is $x^2-1$."]),
)  # fmt: skip


@pytest.mark.parametrize(("gold", "answer", "equal"), RESPONSES, ids=_ids(RESPONSES))
def test_the_answer_is_found_in_a_response(gold, answer, equal):
    verdict = grader("math").grade(answer, gold)
    assert verdict.correct is equal, verdict


OPTIONS = ("spoons", "forks", "chopsticks", "knives")
CHOICES = {
    "C": [
        "The man reached for **C. chopsticks**", "The man reached for **C) chopsticks**.", "(C)", "C", "C.", "c)", "**C**",
        "The man reached for **(C) chopsticks**.", "So the best completion is **C**.", "option C", "Option C is correct.",
        "I choose C", "I would choose C.", "I'd go with C", "The answer is C, because the rest is wrong.", "Answer: C",
        "ANSWER: **C**", "ANSWER: (C)", r"ANSWER: $\textbf{C}$", r"\boxed{C}", r"\boxed{\text{C: chopsticks}}",
        r"\boxed{\textbf{(C)}\ \text{chopsticks}}", r"\boxed{chopsticks}", "Answer: chopsticks", "The answer is chopsticks.",
        "The correct option is C.", "The correct choice is (C).", "The correct answer is option C: chopsticks",
        "Answer: C\n\nExplanation: A is wrong", "The answer is C\n\nLet me double check: The answer is not A.",
        "Answer: C. This is why the answer is not A", "It is not A. The answer is C.", "**Answer: C**",
        "We get \\boxed{E = mc^2}.\n\n**Answer: C**", "A is wrong, B is wrong, so the answer must be C.",
        "The man reached for **chopsticks**.", "The man reached for chopsticks.", "I would say (C) is best.",
        "Option A is incorrect. Option B is incorrect. Option C is correct.", "This rules out (A) and (B), and leaves (C).",
        "The correct answer is: **C) chopsticks**", "<answer>C</answer>",  "Answer:\n\nC", "Final Answer: C",
        "Final answer: (C) chopsticks", "C: chopsticks", "C - chopsticks", "The answer is (c).", "The best answer is C.",
        "C. chopsticks", "C) chopsticks\n", "Answer: \"C\"", "The answer is \\(C\\).", "The answer is $C$.",
        "It is not A but C.", "Option (c) is correct.", "A fails, B fails. So C.", "C is correct.",
        '{"answer": "C", "why": "A is out"}', "<think>D? The answer is D.</think>C", "C<|eot_id|>", "Not (A). I think (C).", "I think the answer is C) chopsticks.",
    ],
    "": [
        "It is not A.", "Vitamin C is the best answer here", "C is not correct.", "Neither A nor C is correct.",
        "<think>C</think>", "The answer is not C.", "Answer: not C", "The answer cannot be C.", "C or D", "Answer: C or D", "(A), (B), (C) and (D) are all plausible",
        "I rule out option C.", "Option C is wrong.", "**C. chopsticks** is wrong.", "The answer is a mass.", "I can't say.",
        "chopsticks are not the answer here", "The man did not reach for chopsticks.", "Error: rate limited", "",
        "C is a letter that people like", "Chopsticks or forks, who knows", "The answer is unclear", "A cell divides", "I think so",
        "Either (C) or (D)", "Both (A) and (C) are right.", "Eliminate (C).", r"\boxed{C, D}", r"\boxed{\text{none}}", "It isn't option C.",
        "Unlike (C), that would not do.",
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("letter", "answer"), [(letter, a) for letter, answers in CHOICES.items() for a in answers]
)
def test_the_option_is_found_in_a_response(letter, answer):
    verdict = grader("choice").grade(answer, "C", OPTIONS)
    assert verdict.answer == letter, verdict
    assert verdict.correct == (letter == "C")


def test_ten_options_have_letters():
    options = [f"number {n}" for n in range(10)]
    assert grader("choice").grade("I think the answer is J.", "J", options).correct
    assert grader("choice").grade("I choose **I. number 8**", "I", options).correct
    assert grader("choice").grade("I am not sure which it is", "I", options).answer == ""
    assert grader("choice").grade("Answer: J", "J").correct
    assert grader("choice").grade("Answer: E", "E", options[:4]).answer == ""


def test_reported_pairs(shared_data):
    wrong = []
    lines = (shared_data / "graders" / "reported_pairs.jsonl").read_text("utf-8").split("\n")
    for pair in map(json.loads, filter(None, lines)):
        chosen = grader(pair["grader"])
        chosen.check_target(pair["gold"])
        verdict = chosen.grade(pair["answer"], pair["gold"], pair.get("options", ()))
        if verdict.correct is not pair["equal"]:
            wrong.append((pair, verdict))
    assert wrong == []


def test_a_verdict_says_what_of_a_long_response_was_searched():
    before = r"\boxed{7} " + "x " * 100_000
    for name, answer in (("math", r"\boxed{3}"), ("integer", r"\boxed{3}"), ("choice", "(C)")):
        target = "C" if name == "choice" else "3"
        whole, end = (grader(name).grade(text, target) for text in (answer, before + answer))
        assert whole.correct
        assert end.correct
        assert "searched" not in whole.rule
        assert end.rule.endswith("only the last 200,000 characters were searched")


def test_an_answer_that_grows_too_long_when_read_as_a_list_is_a_verdict():
    thousands = ",".join(["100"] * 1000)
    assert not grader("math").grade(thousands, "1, 2, 3").correct
