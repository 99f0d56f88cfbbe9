namespace Regatta.Chaos

/// All workloads. Watchers are apart: they make no calls of their own.
module Workloads =
    let all =
        [ Registers.registers
          Registers.compareAndSwap
          Transactions.bank
          Transactions.append
          Ranges.ranges
          Ranges.deletes
          Sites.sessions
          Sites.bounded
          Sites.globals
          Sites.forwarded ]

    let watchers = 4
    let watching = "watches of the whole table that go from node to node of any site, and get every change once, in order"
