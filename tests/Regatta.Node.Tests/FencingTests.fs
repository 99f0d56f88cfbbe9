/// A follower site takes nothing of another history than its own (guarantees G7).
module Regatta.Node.Tests.FencingTests

open System
open System.IO
open System.Threading.Tasks
open Expecto
open Grpc.Core
open Microsoft.Extensions.Logging
open Regatta.Node
open Regatta.Node.Tests.Followers
open Regatta.Protocol.V1
open Regatta.Protocol.V1Ext
open Regatta.Replication
open Regatta.Testing

let private t = Bytes.text "t"
type private State = Following.Types.State

let private put (node: RunningNode) key value =
    node.Clients.Kv.PutAsync(PutRequest(Table = t, Key = Bytes.text key, Value = Bytes.text value)).ResponseAsync

/// A follower that has the leader site's writes up to a revision, and the leader site is gone.
let private afterwards (body: Relay -> Scratch -> RunningNode -> Task<unit>) =
    task {
        use home = new Scratch()
        use old = new Scratch()
        use away = new Scratch()
        use relay = new Relay()
        let! leader = Nodes.start home.Path [ "tables.names", "t" ]
        let! _ = leader.Put("t", "k", "1")
        do! (leader :> IAsyncDisposable).DisposeAsync()
        Directory.CreateDirectory old.Path |> ignore
        copy home.Path old.Path
        let! leader = Nodes.start home.Path []
        relay.LeadTo(portOf leader)
        use! follower = start away.Path relay.Address []
        let! revision = leader.Put("t", "k", "2")
        let! _ = read follower "t" "k" revision
        relay.Close()
        do! (leader :> IAsyncDisposable).DisposeAsync()
        do! body relay old follower
    }

let private adopt (node: RunningNode) = node.Clients.Site.AdoptAsync(AdoptRequest(Table = t)).ResponseAsync

let private refusal (call: Task<AdoptResponse>) =
    task {
        try
            let! _ = call
            return failtest "it was taken"
        with :? RpcException as e ->
            return e.StatusCode, e.Status.Detail
    }

let private stillHere (follower: RunningNode) =
    task {
        let! value = follower.Get("t", "k")
        Expect.equal value (Some "2") "what it had is there and is served"
    }

/// The leader site was set back, answers again, and writes something else where the follower has its last revision.
let private fencedBy (back: RunningNode) (relay: Relay) (follower: RunningNode) =
    task {
        relay.LeadTo(portOf back)
        let! _ = untilState follower "t" State.LeaderBehind
        let! _ = back.Put("t", "k", "other")
        let! _ = untilState follower "t" State.Fenced
        ()
    }

let private fencing =
    [ Nodes.test "another leader site in the place of its own, without any table, is not followed, and deletes nothing" (fun () ->
          afterwards (fun relay _ follower ->
              task {
                  use elsewhere = new Scratch()
                  use! stranger = Nodes.start elsewhere.Path []
                  relay.LeadTo(portOf stranger)
                  let! catalogue = untilState follower LeaderTables.Catalogue State.Fenced
                  Expect.stringContains catalogue.Reason "it is another leader site, or one that was founded anew" "says so"
                  do! stillHere follower
                  // The table is unknown there: that is no reason to delete it.
                  let! _ = untilState follower "t" State.Refused
                  let! _ = stranger.Create "t"
                  let! _ = stranger.Put("t", "k", "other")
                  let! _ = untilState follower "t" State.Fenced
                  do! stillHere follower
                  let! listed = follower.Clients.Tables.ListAsync(ListTablesRequest())
                  Expect.equal [ for table in listed.Tables -> table.Name ] [ "t" ] "its own tables"
              }))

      Nodes.test "a leader site that was set back is waited for, and fenced when it has written on" (fun () ->
          afterwards (fun relay old follower ->
              task {
                  use! back = Nodes.start old.Path []
                  relay.LeadTo(portOf back)
                  let! behind = untilState follower "t" State.LeaderBehind
                  Expect.stringContains behind.Reason "this site has revision 2 and the leader site 1" "says where both stand"
                  do! stillHere follower
                  let! _ = back.Put("t", "k", "other")
                  let! fenced = untilState follower "t" State.Fenced
                  Expect.stringContains fenced.Reason "set back to an older state and has written on" "says why"
                  let! _ = back.Put("t", "k", "and on")
                  do! stillHere follower
              }))

      Nodes.test "a table that is fenced so takes the leader site's state when an operator says so, once, and follows on" (fun () ->
          afterwards (fun relay old follower ->
              task {
                  let! early = refusal (adopt follower)
                  Expect.equal early (StatusCode.FailedPrecondition, "the table is not fenced: there is nothing to adopt") "no reason yet"
                  use! back = Nodes.start old.Path []
                  do! fencedBy back relay follower
                  use stream = new Watching(follower.Clients.Kv)
                  do! stream.Create(Watching.all 1L "t" 0UL)
                  let! watched = stream.Next()
                  let! reply = adopt follower
                  Expect.equal reply.Header.Revision 2UL "what is given up"
                  // Both are at revision 2: a state has to be newer to be told from the table's own.
                  let! _ =
                      until (fun () ->
                          task {
                              let! row = following follower "t"
                              return row |> Option.filter (fun row -> row.State = State.Snapshot && row.Reason.Contains "revision 3")
                          })

                  do! stillHere follower
                  let! _ = back.Put("t", "l", "on")
                  let! value = read follower "t" "k" 3UL
                  Expect.equal value (Some "other") "of the other history"
                  let! here = hash follower "t"
                  let! there = hash back "t"
                  Expect.equal here there "the same"
                  let! revision = back.Put("t", "k", "and on")
                  let! value = read follower "t" "k" revision
                  Expect.equal value (Some "and on") "followed"
                  let again = Watching.all 1L "t" (watched.Header.Revision + 1UL)
                  again.ChainHash <- watched.ChainHash
                  use elsewhere = new Watching(back.Clients.Kv)
                  do! elsewhere.Create again
                  let! created = elsewhere.Next()
                  Expect.isTrue created.Created "it begins"
                  let! ended = elsewhere.Next()
                  Expect.equal ended.End.Code (int StatusCode.FailedPrecondition) "a watch does not go on in the other history"
                  Expect.stringContains ended.End.Reason "was given up for another one" "why"
                  let! again = refusal (adopt follower)
                  Expect.equal (fst again) StatusCode.FailedPrecondition "nothing is fenced"
              }))

      Nodes.test "a table that is fenced so can be told to adopt while the leader site is away" (fun () ->
          afterwards (fun relay old follower ->
              task {
                  use! back = Nodes.start old.Path []
                  do! fencedBy back relay follower
                  let! _ = back.Put("t", "l", "on")
                  relay.Close()
                  let! _ = untilState follower "t" State.LeaderUnreachable
                  let! _ = adopt follower
                  relay.LeadTo(portOf back)
                  let! value = read follower "t" "k" 3UL
                  Expect.equal value (Some "other") "of the other history"
              }))

      Nodes.test
          "a table that is fenced so gets the whole state, and says so, when the changes by which histories are compared are gone"
          (fun () ->
              afterwards (fun relay old follower ->
                  task {
                      use! back = Nodes.start old.Path [ "changelog.max-count", "3" ]
                      do! fencedBy back relay follower
                      relay.Close()

                      for number in 1..20 do
                          let! _ = back.Put("t", "l", string number)
                          ()

                      do! keepsFrom back 10UL
                      relay.LeadTo(portOf back)
                      let! value = read follower "t" "k" 22UL
                      Expect.equal value (Some "other") "of the other history"
                      let! here = hash follower "t"
                      let! there = hash back "t"
                      Expect.equal here there "the same"

                      let warned =
                          follower.Loggers.AtLeast LogLevel.Warning |> Array.filter _.Message.Contains("takes the place of what is here")

                      Expect.isNonEmpty warned "in the log"
                  }))

      Nodes.test "an order to adopt is void when the own leader site is back" (fun () ->
          afterwards (fun relay old follower ->
              task {
                  use true' = new Scratch()
                  copy old.Path true'.Path
                  let! back = Nodes.start old.Path []
                  do! fencedBy back relay follower
                  let! _ = adopt follower
                  relay.Close()
                  do! (back :> IAsyncDisposable).DisposeAsync()
                  // It writes again what the follower has.
                  let! own = Nodes.start true'.Path []
                  relay.LeadTo(portOf own)
                  let! _ = own.Put("t", "k", "2")
                  let! _ = untilState follower "t" State.Following
                  relay.Close()
                  do! (own :> IAsyncDisposable).DisposeAsync()
                  use! fork = Nodes.start old.Path []
                  relay.LeadTo(portOf fork)
                  let! _ = fork.Put("t", "k", "on")
                  let! _ = untilState follower "t" State.Fenced
                  do! stillHere follower
              }))

      Nodes.test "another leader site's table is not adopted" (fun () ->
          afterwards (fun relay _ follower ->
              task {
                  use elsewhere = new Scratch()
                  use! stranger = Nodes.start elsewhere.Path [ "tables.names", "t" ]
                  relay.LeadTo(portOf stranger)
                  let! _ = untilState follower "t" State.Fenced
                  let! code, sentence = refusal (adopt follower)
                  Expect.equal code StatusCode.FailedPrecondition "refused"
                  Expect.stringContains sentence "a site has the tables of one history" "says why"
                  do! stillHere follower
              }))

      Nodes.test "a leader site that was set back and writes the very same again is followed on" (fun () ->
          afterwards (fun relay old follower ->
              task {
                  use! back = Nodes.start old.Path []
                  relay.LeadTo(portOf back)
                  let! _ = untilState follower "t" State.LeaderBehind
                  let! _ = back.Put("t", "k", "2")
                  let! _ = back.Put("t", "k", "3")
                  let! value = read follower "t" "k" 3UL
                  Expect.equal value (Some "3") "one history"
                  let! here = hash follower "t"
                  let! there = hash back "t"
                  Expect.equal here there "the same"
              }))

      Nodes.test "when its own leader site is back after a stranger, it follows again" (fun () ->
          using [] (fun leader relay follower ->
              task {
                  let! revision = leader.Put("t", "k", "1")
                  let! _ = read follower "t" "k" revision
                  use elsewhere = new Scratch()
                  use! stranger = Nodes.start elsewhere.Path [ "tables.names", "t" ]
                  relay.LeadTo(portOf stranger)
                  relay.Break()
                  let! _ = untilState follower "t" State.Fenced
                  relay.LeadTo(portOf leader)
                  relay.Break()
                  let! revision = leader.Put("t", "k", "2")
                  let! value = read follower "t" "k" revision
                  Expect.equal value (Some "2") "followed"
                  let! row = untilState follower "t" State.Following
                  Expect.equal row.Reason "" "nothing is wrong any more"
              }))

      Nodes.test "a directory of one kind of site is not started as the other" (fun () ->
          using [] (fun leader _ _ ->
              task {
                  use away = new Scratch()
                  let address = string leader.Node.ReplicationAddress
                  let! follower = start away.Path address []
                  do! (follower :> IAsyncDisposable).DisposeAsync()

                  let! refusal =
                      task {
                          try
                              let! node = Nodes.start away.Path []
                              do! (node :> IAsyncDisposable).DisposeAsync()
                              return ""
                          with :? NodeStartException as e ->
                              return e.Message
                      }

                  Expect.stringContains refusal "belongs to a node of a follower site and cannot be started as leader" "says why"
              })) ]

let tests = testList "A follower site and other histories:" fencing
