/// Groups whose consensus has died, and what their host does about it.
module Regatta.Raft.Tests.MadeAnewTests

open System
open System.Threading
open System.Threading.Tasks
open Expecto
open Regatta.Core
open Regatta.Raft
open Regatta.Raft.Tests.Fixtures
open Regatta.Raft.Tests.GroupCalls
open Regatta.Raft.Tests.NodeGroups

/// A stall is noticed when it is looked for the second time, and only a test looks.
let private options =
    GroupHostOptions(Log = smallLog, Groups = GroupOptions(StallTimeout = TimeSpan.Zero), MaintenanceInterval = TimeSpan.FromHours 1.)

/// DotNext's loop ends when the commit of an entry throws, and nothing tells.
let private killLoop (group: TableGroup) =
    task {
        let onCommit = nonNull group.Entries.OnCommit
        let died = TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)

        group.Entries.OnCommit <-
            fun () ->
                died.TrySetResult() |> ignore
                raise (InvalidOperationException "a bug")

        let lost = propose group "lost" "1"
        do! soon died.Task
        group.Entries.OnCommit <- onCommit
        onCommit.Invoke()
        let! outcome = soonResult lost
        return outcome
    }

let private anew =
    taskCase "a group whose loop has died is made anew, behind the same handle, and works again"
    <| fun () ->
        task {
            use directory = new TemporaryDirectory()
            use node = new Node(directory.Path, options)
            let! group = node.Start 7L
            let! _ = put group "before" "1"
            let dead = nonNull ((node.Host :> ISiteGroups).Find 7L)
            let! _ = killLoop dead
            let last = dead.Entries.Last
            let stuck = propose group "stuck" "1"

            do!
                soon (
                    Task.Run(fun () ->
                        while dead.Entries.Last = last do
                            Thread.Yield() |> ignore)
                )

            do! soon (dead.Entries.DurableAt(last + 1L))

            for _ in 1..2 do
                do! soon (node.Host.MaintainAsync())

            Expect.isFalse (Object.ReferenceEquals((node.Host :> ISiteGroups).Find 7L, dead)) "another one is in its place"
            let! outcome = soonResult stuck
            // It was in the log, which the group that came after it took over.
            Expect.equal outcome.Failure GroupFailure.Unknown "the callers of the dead one are told"
            Expect.isNull group.Fault "no fault"
            let! revision = put group "after" "2"
            Expect.equal (get group "before") (Some("1", 1L)) "nothing is lost"
            Expect.equal (get group "after") (Some("2", revision)) "it works"
            let! confirmed = barrier group
            Expect.isTrue confirmed.Succeeded "reads, too"
        }

let tests = testSequenced (testList "GroupHost" [ testList "supervision" [ anew ] ])
