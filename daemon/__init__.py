"""fluxmedic: keeps Flux CD clusters healthy.

The way of one signal. `kube` lists and watches; `sources` turn what it hears into `model` signals with the help of
`flux`, which knows what Flux's API means, and put them into the inbox of `runtime`. The pump takes one out and gives
it to `engine.step`, which knows `rules` and nothing of the outside: it latches health, fires findings, walks the
cause graph, moves incidents and answers with effects. The pump has the ledger make the step's rows durable and only
then lets the rest leave through lanes: to `notify`, which tells people, and to `actions`, which touch the cluster.
What came of each effect returns as a signal. `web` and `cli` look at the World read-only; `replay` drives the same
step from a file on virtual time; `simulator` is a small cluster for the demo and the tests. `app` builds it all.
"""

__version__ = "0.1.0"
