"""How the report looks: one style sheet for light, dark, narrow and paper. No font or picture is loaded from anywhere."""

from __future__ import annotations

from typing import Final

STYLE: Final = """
:root{color-scheme:light dark;--page:#f6f6f2;--card:#fff;--ink:#1b2420;--soft:#5a6660;--hair:#e0e2dc;--good:#0f7a52;
--bad:#b3402a;--actual:#3d4a44;--forecast:#b4690e;--ran:#17946a;--would:#8b958f;--deadline:#b3402a;--badge:#eef0ea;
--delayed:#2b6fb0;--relocated:#c27c0e;--paused:#17946a;--scaled:#8a56b0;--capped:#b0574a;--stripe:#ffffffb0}
@media (prefers-color-scheme:dark){:root{--page:#111614;--card:#191f1c;--ink:#e7ebe8;--soft:#9aa69f;--hair:#2c3430;
--good:#4fca9b;--bad:#f08a72;--actual:#c4cec8;--forecast:#eba94d;--ran:#35b184;--would:#76827b;--deadline:#f08a72;
--badge:#252d29;--delayed:#5aa0e0;--relocated:#e0a23c;--paused:#35b184;--scaled:#b58ad8;--capped:#dd8778;
--stripe:#111614a0}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,
"Helvetica Neue",Arial,sans-serif;font-variant-numeric:tabular-nums;-webkit-text-size-adjust:100%}
main{max-width:69rem;margin:0 auto;padding:2.5rem 1.25rem 4rem}
a{color:inherit;text-underline-offset:.15em}
.brand{margin:0;font-weight:650;letter-spacing:-.01em;color:var(--good)}
h1{margin:.2rem 0 .3rem;font-size:2rem;line-height:1.2;letter-spacing:-.02em;overflow-wrap:anywhere}
h2{margin:0 0 .25rem;font-size:1.2rem;letter-spacing:-.01em}
h3{margin:1.6rem 0 .2rem;font-size:1rem;overflow-wrap:anywhere}
.meta,.note,figcaption,caption{color:var(--soft);font-size:.875rem}
.meta,.note{margin:.2rem 0 0}.badges+.note{margin-top:.6rem}
.lead{font-size:1.35rem;line-height:1.45;letter-spacing:-.01em;max-width:46rem;margin:1.8rem 0 1.4rem}
.good{color:var(--good)}.bad{color:var(--bad)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(10.5rem,1fr));gap:.75rem;margin:0;padding:0}
.tile{background:var(--card);border:1px solid var(--hair);border-radius:.6rem;padding:.85rem 1rem;min-width:0}
.tile dt{color:var(--soft);font-size:.8125rem}
.tile dd{margin:0}.tile .big{font-size:1.6rem;line-height:1.3;font-weight:600;letter-spacing:-.02em}
.tile .sub{color:var(--soft);font-size:.8125rem;line-height:1.4}
.badges{display:flex;flex-wrap:wrap;gap:.4rem;list-style:none;margin:.9rem 0 0;padding:0}
.badges li,.badge{background:var(--badge);border-radius:1rem;padding:.1rem .65rem;font-size:.8125rem}
.badges b{font-weight:600}
.badge{padding:.05rem .5rem;white-space:nowrap}
section.card{background:var(--card);border:1px solid var(--hair);border-radius:.6rem;padding:1.3rem 1.4rem;
margin-top:1.25rem}
figure{margin:0}
.scroll{overflow-x:auto;max-width:100%}
.scroll:focus-visible{outline:2px solid var(--good);outline-offset:2px}
.wide svg{min-width:44rem}
svg{display:block;width:100%;height:auto;font-size:12px;overflow:visible}
svg text{fill:var(--soft)}svg .unit{font-size:11px}svg .date{font-weight:600}svg .job{fill:var(--ink);paint-order:stroke;stroke:var(--card);stroke-width:4px;stroke-linejoin:round}
.grid{stroke:var(--hair)}.zero,.day{stroke:var(--would);stroke-opacity:.6}.lane{stroke:var(--hair)}
.actual{fill:none;stroke:var(--actual);stroke-width:1.8}
.forecast{fill:none;stroke:var(--forecast);stroke-width:1.5;stroke-dasharray:5 3}
.ran-area{fill:var(--ran);fill-opacity:.22}.ran{fill:var(--ran)}
.would{fill:none;stroke:var(--would);stroke-dasharray:3 2.5}
.deadline{stroke:var(--deadline);stroke-width:2}
.diagonal{stroke:var(--would);stroke-dasharray:4 3}.point{fill:var(--forecast);fill-opacity:.55}
.cause.delayed{fill:var(--delayed)}.cause.relocated{fill:var(--relocated)}.cause.paused{fill:var(--paused)}
.cause.scaled{fill:var(--scaled)}.cause.capped{fill:var(--capped)}
.stripe{stroke:var(--stripe);stroke-width:2.4}.net{stroke:var(--ink);stroke-width:2}
.legend{display:flex;flex-wrap:wrap;gap:.25rem 1.1rem;list-style:none;margin:.7rem 0 .6rem;padding:0;
font-size:.8125rem;color:var(--soft)}
.legend li{display:flex;align-items:center;gap:.45rem}
.legend svg{width:26px;height:12px;flex:none;min-width:0}
.squares{display:grid;grid-template-columns:repeat(auto-fit,minmax(15rem,20rem));gap:1.6rem;margin-top:.6rem}
details{margin-top:.7rem;font-size:.875rem}summary{cursor:pointer;color:var(--soft)}
table{border-collapse:collapse;width:100%;font-size:.84375rem;margin-top:.5rem}
caption{text-align:left;padding-bottom:.3rem}
th,td{text-align:left;padding:.38rem .7rem .38rem 0;border-bottom:1px solid var(--hair);vertical-align:top}
th:last-child,td:last-child{padding-right:0}
thead th{color:var(--soft);font-weight:500;font-size:.8125rem;vertical-align:bottom}
tbody th{font-weight:600}
.number{text-align:right;white-space:nowrap}.time{white-space:nowrap}
.runs{min-width:60rem}.runs tbody th{min-width:10rem;max-width:14rem;overflow-wrap:anywhere}.runs th,.runs td{padding-right:.5rem}
.runs td{white-space:nowrap}.runs td small{white-space:normal;overflow-wrap:break-word}
.runs{font-size:.8125rem}.runs small{font-size:.75rem}
.runs small{display:block;color:var(--soft);font-weight:400;overflow-wrap:anywhere}
.columns{display:grid;grid-template-columns:repeat(auto-fit,minmax(19rem,1fr));gap:0 2.5rem}
.columns>*{min-width:0}
.card>.scroll+.scroll{margin-top:1.4rem}
.prose{max-width:44rem}.prose ul{padding-left:1.1rem;margin:.4rem 0}.prose li{margin:.25rem 0}
footer{color:var(--soft);font-size:.8125rem;margin-top:1.8rem}
@media (max-width:40rem){main{padding:1.5rem .9rem 3rem}h1{font-size:1.6rem}.lead{font-size:1.15rem}
section.card{padding:1rem}.tiles{grid-template-columns:repeat(2,minmax(0,1fr));gap:.5rem}.tile{padding:.7rem .8rem}
.tile .big{font-size:1.3rem}}
@media print{:root{--page:#fff;--card:#fff;--ink:#000;--soft:#444;--hair:#ccc;--good:#0b5f40;--badge:#fff}
body{font-size:11px}main{max-width:none;padding:0}section.card{border:0;padding:0;margin-top:1.5rem}
figure,tr,.tile{break-inside:avoid}.scroll{overflow:visible}.wide svg,.runs{min-width:0}table{font-size:9px}
details:not([open]){display:none}.badges li{border:1px solid var(--hair)}}
"""
