/// A follower site that is too far behind to follow gets whole states.
module Regatta.Node.Tests.FollowerStateTests

open System
open System.IO
open System.Threading
open System.Threading.Tasks
open Expecto
open Regatta.Node
open Regatta.Node.Tests.Followers
open Regatta.Protocol.V1
open Regatta.Protocol.V1Ext
open Regatta.Testing

let private t = Bytes.text "t"
type private State = Following.Types.State

/// A leader site that keeps three revisions, and a table that has gone on beyond them.
let private farAhead (body: RunningNode -> Relay -> RunningNode -> Task<unit>) =
    using [ "changelog.max-count", "3" ] (fun leader relay follower ->
        task {
            let! revision = leader.Put("t", "first", "one")
            let! _ = read follower "t" "first" revision
            relay.Close()

            for number in 1..50 do
                let! _ = leader.Put("t", $"k{number}", String('v', 2000))
                ()

            let! _ = leader.Clients.Kv.DeleteRangeAsync(DeleteRangeRequest(Table = t, Key = Bytes.text "first"))

            do! keepsFrom leader 40UL

            do! body leader relay follower
        })

let private sameHash (leader: RunningNode) (follower: RunningNode) revision =
    task {
        let! _ = read follower "t" "k50" revision
        let! here = hash follower "t"
        let! there = hash leader "t"
        Expect.equal here there "revision, content and history"
    }

let private snapshots =
    [ Nodes.test "gets a whole state, and follows from there" (fun () ->
          farAhead (fun leader relay follower ->
              task {
                  relay.LeadTo(portOf leader)
                  do! sameHash leader follower 52UL
                  let! gone = follower.Get("t", "first")
                  Expect.equal gone None "what was deleted meanwhile"
                  let! revision = leader.Put("t", "k50", "later")
                  let! later = read follower "t" "k50" revision
                  Expect.equal later (Some "later") "followed"
                  let! row = untilState follower "t" State.Following
                  Expect.equal (row.LeaderRevision, row.Reason) (revision, "") "the status"
              }))

      Nodes.test
          "starts when the leader site has only the end of its history: gets a whole state, and again after the next long absence"
          (fun () ->
              farAhead (fun leader _ _ ->
                  task {
                      use away = new Scratch()
                      let address = string leader.Node.ReplicationAddress
                      let! follower = start away.Path address []
                      do! sameHash leader follower 52UL
                      do! (follower :> IAsyncDisposable).DisposeAsync()

                      for number in 1..50 do
                          let! _ = leader.Put("t", $"k{number}", "again")
                          ()

                      do! keepsFrom leader 90UL

                      use! again = start away.Path address []
                      do! sameHash leader again 102UL
                      let left = Directory.GetDirectories(Path.Combine(away.Path, "generations"), "*", SearchOption.AllDirectories)

                      let! swept =
                          until (fun () ->
                              task {
                                  let found = Directory.GetDirectories(Path.Combine(away.Path, "generations", "10001"))
                                  return if found.Length = 1 then Some found else None
                              })

                      Expect.isNonEmpty left "a state took the table's place"
                      Expect.hasLength swept 1 "the ones before it are deleted"
                      Expect.isFalse (Directory.Exists(Path.Combine(away.Path, "tables", "10001"))) "the first one, too"
                  }))

      Nodes.test "gets it from another node of the leader site when the first one's files are damaged" (fun () ->
          task {
              use home = new Scratch()
              use twin = new Scratch()
              use away = new Scratch()
              let settings = [ "changelog.max-count", "3" ]
              let! leader = Nodes.start home.Path ([ "tables.names", "t" ] @ settings)

              for number in 1..50 do
                  let! _ = leader.Put("t", $"k{number}", "v")
                  ()

              do! keepsFrom leader 40UL
              do! (leader :> IAsyncDisposable).DisposeAsync()
              Directory.CreateDirectory twin.Path |> ignore
              copy home.Path twin.Path
              use! damaged = Nodes.start home.Path settings
              use! whole = Nodes.start twin.Path settings
              damaged.Host.FilesDamaged <- true
              // Until the other one was asked: whom a node asks first is not said.
              whole.Host.FilesDamaged <- true
              let addresses = $"{whole.Node.ReplicationAddress},{damaged.Node.ReplicationAddress}"
              use! follower = start away.Path addresses []

              while damaged.Host.FilesAsked = 0 do
                  do! Task.Delay 5

              whole.Host.FilesDamaged <- false
              do! sameHash whole follower 50UL
          })

      Nodes.test "gets it all the same when its link is cut again and again" (fun () ->
          farAhead (fun leader relay follower ->
              task {
                  let draw = Random Seed.current
                  let mutable connections = 0

                  relay.CutAfter(
                      Some(fun () ->
                          if Interlocked.Increment &connections > 8 then
                              Int32.MaxValue
                          else
                              lock draw (fun () -> draw.Next(2_000, 12_000)))
                  )

                  relay.LeadTo(portOf leader)
                  do! sameHash leader follower 52UL
                  Expect.isGreaterThan connections 3 "cut"
              }))

      Nodes.test "serves reads while a state takes the table's place, and they see one state or the other" (fun () ->
          farAhead (fun leader relay follower ->
              task {
                  let mutable going = true
                  let mutable reads = 0

                  let reading =
                      [ for _ in 1..4 ->
                            Task.Run<unit>(fun () ->
                                task {
                                    while Volatile.Read &going do
                                        let range = RangeRequest(Table = t, Key = Bytes.zero, RangeEnd = Bytes.zero)
                                        let! reply = follower.Clients.Kv.RangeAsync range
                                        let expected = if reply.Header.Revision = 1UL then 1 else 50
                                        Expect.equal reply.Kvs.Count expected $"at revision {reply.Header.Revision}"
                                        Interlocked.Increment &reads |> ignore
                                }) ]

                  let! _ = until (fun () -> task { return if Volatile.Read &reads > 50 then Some() else None })
                  relay.LeadTo(portOf leader)
                  do! sameHash leader follower 52UL
                  let before = Volatile.Read &reads
                  let! _ = until (fun () -> task { return if Volatile.Read &reads > before + 50 then Some() else None })
                  Volatile.Write(&going, false)
                  let! _ = Task.WhenAll reading
                  ()
              }))

      Nodes.test "keeps the state that took the table's place when it starts again, also without the leader site" (fun () ->
          task {
              use home = new Scratch()
              use away = new Scratch()
              use relay = new Relay()
              use! leader = Nodes.start home.Path [ "tables.names", "t"; "changelog.max-count", "3" ]

              for number in 1..50 do
                  let! _ = leader.Put("t", $"k{number}", "v")
                  ()

              do! keepsFrom leader 40UL

              relay.LeadTo(portOf leader)
              let! first = start away.Path relay.Address []
              do! sameHash leader first 50UL
              relay.Close()
              do! (first :> IAsyncDisposable).DisposeAsync()
              use! second = start away.Path relay.Address []
              let! here = hash second "t"
              let! there = hash leader "t"
              Expect.equal here there "revision, content and history"
          }) ]

let tests = testList "A follower site that is too far behind" snapshots
