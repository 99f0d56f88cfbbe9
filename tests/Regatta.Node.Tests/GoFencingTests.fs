/// A follower site of ours takes a leader site of the Go project for no other kind, nor the other way round.
module Regatta.Node.Tests.GoFencingTests

open System
open System.Threading.Tasks
open Expecto
open Google.Protobuf
open Regatta.Node
open Regatta.Node.Tests.Followers
open Regatta.Node.Tests.GoSites
open Regatta.Protocol.V1
open Regatta.Protocol.V1Ext
open Regatta.Replication
open Regatta.Testing

type private State = Following.Types.State

/// One of ours, with more in its table `t` than the other has.
let private ours (body: RunningNode -> Task<unit>) =
    Nodes.using [ "tables.names", "t,another" ] (fun node ->
        task {
            for number in 1..5 do
                let! _ = node.Put("t", "k", $"stranger {number}")
                ()

            do! body node
        })

let private fencing =
    [ Nodes.test
          "a leader site of ours in the place of its own is not followed, nor after a new start, and its own one is when it is back"
          (fun () ->
              withLeader (fun leader relay away ->
                  task {
                      let table = leader.State.Add "t"
                      let! first = start away.Path relay.Address often
                      let! _ = read first "t" "k" (put table "k" "v")

                      do!
                          ours (fun stranger ->
                              task {
                                  let unchanged (follower: RunningNode) =
                                      task {
                                          let! list = untilState follower LeaderTables.Catalogue State.Fenced
                                          let! row = untilState follower "t" State.Fenced
                                          let! value = follower.Get("t", "k")
                                          let! listed = follower.Clients.Tables.ListAsync(ListTablesRequest())
                                          Expect.stringContains list.Reason "it is not one of the Go project" "says why"
                                          Expect.stringContains row.Reason "it is not one of the Go project" "of the table, too"
                                          Expect.equal value (Some "v") "what it had"
                                          Expect.equal [ for table in listed.Tables -> table.Name ] [ "t" ] "its own tables"
                                          Expect.isGreaterThan (said follower "it is not one of the Go project") 0 "and in the log"
                                      }

                                  relay.LeadTo(portOf stranger)
                                  relay.Break()
                                  do! unchanged first
                                  do! (first :> IAsyncDisposable).DisposeAsync()
                                  use! second = start away.Path relay.Address often
                                  do! unchanged second
                                  relay.LeadTo(Some leader.Port)
                                  relay.Break()
                                  do! expectEqual table second
                                  let! _ = untilState second LeaderTables.Catalogue State.Following
                                  ()
                              })
                  }))

      Nodes.test "a leader site of the Go project is not followed by a site of ours that has one" (fun () ->
          withLeader (fun leader relay away ->
              task {
                  let table = leader.State.Add "t"
                  leader.State.Add "another" |> ignore

                  for _ in 1..20 do
                      put table "k" "stranger" |> ignore

                  use home = new Scratch()
                  use! own = Nodes.start home.Path [ "tables.names", "t" ]
                  relay.LeadTo(portOf own)
                  use! follower = start away.Path relay.Address often
                  let! revision = own.Put("t", "k", "v")
                  let! _ = read follower "t" "k" revision
                  relay.LeadTo(Some leader.Port)
                  relay.Break()
                  let! list = untilState follower LeaderTables.Catalogue State.Fenced
                  let! row = untilState follower "t" State.Fenced
                  Expect.stringContains list.Reason "it is one of the Go project" "says why"
                  Expect.stringContains row.Reason "as one of the Go project does not" "of the table, too"
                  let! value = follower.Get("t", "k")
                  Expect.equal value (Some "v") "what it had"
                  relay.LeadTo(portOf own)
                  relay.Break()
                  let! revision = own.Put("t", "k", "w")
                  let! value = read follower "t" "k" revision
                  Expect.equal value (Some "w") "its own one is followed again"
                  let! listed = follower.Clients.Tables.ListAsync(ListTablesRequest())
                  Expect.equal [ for table in listed.Tables -> table.Name ] [ "t" ] "its own tables"
              }))

      Nodes.test "which kind it follows is known from the founding on, before there is any table" (fun () ->
          withLeader (fun leader relay away ->
              task {
                  use elsewhere = new Scratch()
                  use home = new Scratch()
                  use! own = Nodes.start home.Path []

                  let founded (directory: Scratch) port =
                      task {
                          relay.LeadTo port
                          let! follower = start directory.Path relay.Address often
                          do! (follower :> IAsyncDisposable).DisposeAsync()
                          relay.Break()
                      }

                  do! founded away (Some leader.Port)
                  do! founded elsewhere (portOf own)
                  leader.State.Add "t" |> ignore
                  let! _ = own.Create "t"

                  for directory, port in [ away, portOf own; elsewhere, Some leader.Port ] do
                      relay.LeadTo port
                      use! follower = start directory.Path relay.Address often
                      let! _ = untilState follower LeaderTables.Catalogue State.Fenced
                      Expect.isEmpty follower.Node.Served.Snapshot.Tables "nothing is taken"
                      relay.Break()
              }))

      Nodes.test "the history that such a site makes for itself is told from every leader site's, and is no leader site's" (fun () ->
          withLeader (fun leader relay away ->
              task {
                  let made = GoHistory.Make()
                  Expect.isTrue (GoHistory.Is made) "made for itself"
                  Expect.notEqual made (GoHistory.Make()) "a new one each time"
                  Expect.isFalse (List.init 1000 (fun _ -> Guid.NewGuid()) |> List.exists GoHistory.Is) "a leader site's"
                  leader.State.History <- ByteString.CopyFrom(made.ToByteArray(bigEndian = true))

                  let! refusal =
                      task {
                          try
                              let! node = start away.Path relay.Address often
                              do! (node :> IAsyncDisposable).DisposeAsync()
                              return ""
                          with :? NodeStartException as e ->
                              return e.Message
                      }

                  Expect.stringContains refusal "as only a site has that follows one of the Go project" "refused"
              })) ]

let tests = testList "A follower site under a leader site of the Go project and the other kind:" fencing
