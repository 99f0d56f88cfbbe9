namespace Regatta.Chaos

open System
open System.IO
open System.Threading.Tasks
open Regatta.Chaos.Report
open Regatta.Testing.Nodes

/// Whether the suite finds bugs: debug builds of the nodes have those of docs/planted-bugs.md when they are told to.
module Planted =
    /// With the faults that bring each out; some need none, and get the mildest.
    let all: (string * string) list =
        [ "acknowledge-before-sync", "power-loss-*"
          "forgotten-vote", "kill-leader,pause-leader,move-leader"
          "wiped-node-votes", "wiped-disk,kill-node,isolate-leader"
          "commit-by-leader-alone", "isolate-leader,kill-leader,mute-leader"
          "unconfirmed-leader-read", "isolate-leader,mute-leader,pause-leader,partition-halves"
          "lost-means-undone", "pause-leader,isolate-leader,kill-leader,mute-leader"
          "damaged-log-accepted", "damaged-log,truncated-log"
          "delete-range-leaves-rest", "move-leader"
          "delete-range-on-leader-only", "move-leader"
          "compare-before-log", "node-latency,move-leader"
          "torn-transaction", "move-leader"
          "torn-iteration", "move-leader"
          "stale-linearizable-read", "node-latency,pause-node,node-bandwidth"
          "global-read-answered-here", "site-latency,slow-follower"
          "session-ignored", "site-latency,slow-follower,node-latency"
          "staleness-bound-too-low", "site-latency,pause-node,pause-leader,pause-site"
          "time-of-day-trusted", "clock-*,clocks-apart,isolate-site"
          "watch-skips-on-resume", "move-leader"
          "lost-forwarded-write", "move-leader"
          "doubled-forwarded-write", "kill-leader,kill-node,site-reset,site-limit,site-down"
          "batch-applied-twice", "pause-puller,kill-puller,node-reset,node-down,isolate-leader"
          "stale-cache-after-swap", "left-behind" ]

    /// The nodes are those of a debug build.
    let isPossible =
        Build.regatta.Contains($"{Path.DirectorySeparatorChar}Debug{Path.DirectorySeparatorChar}", StringComparison.Ordinal)

    /// A short run with a bug; or without one: a suite that always fails would find them all.
    let options (bug: string option) nemeses seed output say stop =
        { Shape = { Sites = 2; NodesPerSite = 3 }
          Length = TimeSpan.FromSeconds 50.0
          Chapter = TimeSpan.FromSeconds 25.0
          Nemeses = Nemeses.select nemeses |> Result.defaultValue []
          Workloads = Workloads.all
          Seed = seed
          Planted = bug
          Output = output
          Toxiproxy = None
          Command =
            fun seed ->
                let planted = bug |> Option.map (fun name -> $"--planted {name} ") |> Option.defaultValue ""
                let faults = String.concat "," nemeses
                $"dotnet run -c Debug --project chaos/Regatta.Chaos -- run {planted}--nemesis \"{faults}\" --time 50 --chapter 25 --seed {seed}"
          Say = say
          Stop = stop }

    /// Short runs, each with another seed, until one fails or the time is up. What failed, and after how many seconds.
    let find (options: RunOptions) (limit: TimeSpan) : Task<(RunRecord * float) option> =
        task {
            let clock = RunClock()
            let mutable found = None
            let mutable attempt = 0

            while found.IsNone && clock.Seconds < limit.TotalSeconds && not options.Stop.IsCancellationRequested do
                let! record = Run.play { options with Seed = options.Seed + attempt }
                attempt <- attempt + 1
                let failed = record.Checks |> List.filter (fun check -> check.Verdict = Failed) |> List.map _.Name

                // What only the suite did wrong shows no bug.
                if not failed.IsEmpty && failed <> [ Run.suite ] && clock.Seconds <= limit.TotalSeconds then
                    found <- Some(record, clock.Seconds)

            return found
        }
