module SiteStatusTests

open System
open System.Threading
open System.Threading.Tasks
open Expecto
open Microsoft.Extensions.Time.Testing
open Regatta.Cli
open Regatta.Protocol.V1
open Regatta.Protocol.V1Ext
open FakeSite
open CommandOutput

let private row name revision (following: Following) = FollowedTable(Name = name, Revision = revision, Following = following)

let private follows = row "a" 7UL (Following(State = Following.Types.State.Following, LeaderRevision = 7UL, NodeId = 2UL))

let private catchesUp =
    row
        "b"
        5UL
        (Following(State = Following.Types.State.CatchingUp, LeaderRevision = 12UL, BehindBytes = 900UL, BehindMs = 40UL, NodeId = 1UL))

let private fenced =
    row "c" 3UL (Following(State = Following.Types.State.Fenced, Reason = "fenced: another history", LeaderRevision = 9UL, NodeId = 3UL))

let private saying (tables: FollowedTable list) =
    task {
        let! site = start ()
        let following = FollowingResponse(IsFollower = true)
        following.Tables.AddRange tables
        site.State.Following <- following
        return site
    }

let all =
    testList
        "site status"
        [ testCaseTask "shows what each table does, and that all follow" (fun () ->
              task {
                  use! site = saying [ follows; catchesUp ]
                  let! shown = Run.at site [ "site"; "status" ]

                  expectOutput
                      (lines
                          [ "TABLE   STATE         REVISION   LEADER REVISION   LAG   BEHIND BYTES   BEHIND MS   NODE"
                            "a       following     7          7                 0     0              0           2"
                            "b       catching up   5          12                7     900            40          1" ])
                      shown
              })

          testCaseTask "says why a table does not follow, with exit code 1" (fun () ->
              task {
                  use! site = saying [ follows; fenced ]
                  let! shown = Run.at site [ "site"; "status"; "-o"; "simple" ]
                  Expect.equal shown.Code ExitCode.Failed "exit code"
                  Expect.stringContains shown.Output "c\tfenced\t3\t9\t6\t0\t0\t3" "its row"
                  Expect.stringContains shown.Errors "c: fenced: another history" "why"
              })

          testCaseTask "shows it again every second until it is interrupted" (fun () ->
              task {
                  use! site = saying [ follows ]
                  // Deadlines go over the wire: it begins now.
                  let clock = FakeTimeProvider(DateTimeOffset.UtcNow)
                  use interrupt = new CancellationTokenSource()

                  site.State.Fault <-
                      fun _ _ ->
                          if site.State.Calls.Count = 3 then interrupt.Cancel() else clock.Advance(TimeSpan.FromSeconds 1.0)
                          Task.CompletedTask

                  let setup =
                      { Run.plain with
                          Environment = [ "REGATTA_ENDPOINTS", site.Endpoint ]
                          Clock = clock
                          Interrupted = interrupt.Token }

                  let! result = Run.withSetup setup [ "site"; "status"; "--watch" ]
                  Expect.equal result.Code ExitCode.Interrupted result.Errors
                  let shown = result.Output.Split("TABLE").Length - 1
                  Expect.equal shown 2 "times"
              }) ]
