"""How it keeps running: time, tasks, queues, the pump, lanes, the ledger. It knows no cluster and no target."""
