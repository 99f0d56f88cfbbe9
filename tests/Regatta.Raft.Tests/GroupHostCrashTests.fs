module Regatta.Raft.Tests.GroupHostCrashTests

open System
open System.Threading.Tasks
open Expecto
open Regatta.Raft
open Regatta.Testing
open Regatta.Raft.Tests.Fixtures
open Regatta.Raft.Tests.GroupCalls
open Regatta.Raft.Tests.NodeGroups

/// Writers on several tables, and crashes that lose what was not flushed of the tables, over the real databases.
let private crashes =
    taskCase "no crash of a node loses an acknowledged write of any table"
    <| fun () ->
        task {
            let random = Random Seed.current

            for run in 1 .. Scale.pick 3 60 do
                use directory = new TemporaryDirectory()
                let ids = [ 10001L; 10002L; 10003L ]
                let acknowledged = Collections.Concurrent.ConcurrentDictionary<struct (int64 * string), struct (string * int64)>()

                for life in 1..4 do
                    let name = $"seed {Seed.current}, run {run}, life {life}"
                    let options = GroupHostOptions(Log = smallLog, Groups = GroupOptions(FlushBytes = 50_000L))
                    use node = new Node(directory.Path, options)
                    let! groups = Task.WhenAll [| for id in ids -> node.Start id |]

                    for entry in acknowledged do
                        let struct (id, key) = entry.Key
                        let struct (value, revision) = entry.Value
                        let group = groups |> Array.find (fun group -> group.GroupId = id)
                        Expect.equal (get group key) (Some(value, revision)) $"{name}: {key} of {id} was acknowledged"

                    let enough = acknowledged.Count + 50 + random.Next 400

                    let writer (number: int) (group: ITableGroup) =
                        Task.Run<unit>(fun () ->
                            task {
                                let mutable sequence = 0
                                let mutable isUp = true

                                while isUp do
                                    sequence <- sequence + 1
                                    let key = $"{life}/{number}/{sequence}"
                                    let value = String('v', sequence % 700) + key

                                    let! outcome = propose group key value

                                    match outcome.Result with
                                    | null -> isUp <- outcome.Failure <> GroupFailure.Stopped && outcome.Failure <> GroupFailure.Unknown
                                    | result -> acknowledged[struct (group.GroupId, key)] <- struct (value, result.Revision)
                            })

                    let writers =
                        [| for number in 1..2 do
                               for group in groups -> writer number group |]

                    while acknowledged.Count < enough do
                        do! soon (node.Host.MaintainAsync())

                    crash node
                    let! _ = soonResult (Task.WhenAll writers)
                    ()
        }

let tests = testList "GroupHost" [ crashes ]
