module TableAndClusterTests

open Expecto
open Google.Protobuf
open Grpc.Core
open Regatta.Cli
open Regatta.Protocol.V1Ext
open FakeSite
open CommandOutput

/// What a person answers at a terminal.
let private answer (site: Site) (text: string) arguments =
    Run.withSetup
        { Run.plain with
            Environment = [ "REGATTA_ENDPOINTS", site.Endpoint ]
            InputIsTerminal = true
            Input = Bytes.ofText text }
        ("table" :: arguments)

let private tables =
    testList
        "table and cluster"
        [ testCaseTask "create, list and delete" (fun () ->
              task {
                  use! site = start ()

                  let setup =
                      { Run.plain with
                          Environment = [ "REGATTA_ENDPOINTS", site.Endpoint; "REGATTA_TOKEN", "t0k3n" ] }

                  let! created = Run.withSetup setup [ "table"; "create"; "policies" ]
                  expectOutput (lines [ "created policies"; "id 10002" ]) created
                  let! list = Run.at site [ "table"; "list" ]
                  expectOutput (lines [ "NAME       ID"; "default    10001"; "policies   10002" ]) list
                  let! json = Run.at site [ "table"; "list"; "-o"; "json" ]
                  expectOutput "[{\"name\":\"default\",\"id\":\"10001\"},{\"name\":\"policies\",\"id\":\"10002\"}]\n" json
                  let! simple = Run.at site [ "table"; "list"; "-o"; "simple" ]
                  expectOutput (lines [ "default\t10001"; "policies\t10002" ]) simple
                  let! deleted = Run.at site [ "table"; "delete"; "policies" ]
                  expectOutput "deleted policies\n" deleted

                  Expect.sequenceEqual
                      site.State.Calls
                      [ "Create policies Bearer t0k3n"; "Delete policies" ]
                      "what arrived, with the token"
              })

          testCaseTask "ask a person before a table is deleted" (fun () ->
              task {
                  use! site = start ()

                  let answer text arguments = answer site text ([ "delete"; "policies" ] @ arguments)

                  for text in [ "y\n"; "\n"; "" ] do
                      let! refused = answer text []
                      Expect.equal refused.Code ExitCode.Failed text
                      Expect.stringContains refused.Errors "Type its name to confirm" "the question"
                      Expect.stringContains refused.Errors "nothing was deleted" "the outcome"

                  Expect.isEmpty site.State.Calls "nothing sent"
                  let! confirmed = answer "policies\n" []
                  Expect.equal confirmed.Code ExitCode.Ok confirmed.Errors
                  let! sure = answer "" [ "--yes" ]
                  expectOutput "deleted policies\n" sure
              })

          testCaseTask "ask a person before a table is given up for the leader site's" (fun () ->
              task {
                  use! site = start ()
                  let! refused = answer site "y\n" [ "adopt"; "default" ]
                  Expect.equal refused.Code ExitCode.Failed "not its name"
                  Expect.stringContains refused.Errors "Give up what table default has at this site" "the question"
                  Expect.stringContains refused.Errors "nothing was changed" "the outcome"
                  Expect.isEmpty site.State.Calls "nothing sent"
                  let! confirmed = answer site "default\n" [ "adopt"; "default" ]
                  Expect.equal confirmed.Code ExitCode.Ok confirmed.Errors
                  Expect.equal confirmed.Output (lines [ "adopting default"; "given_up_revision 7" ]) "what is begun"
                  let! sure = answer site "" [ "adopt"; "default"; "--yes"; "-o"; "json" ]
                  expectOutput "{\"adopting\":\"default\",\"given_up_revision\":7}\n" sure
                  Expect.sequenceEqual site.State.Calls [ "Adopt"; "Adopt" ] "what arrived"
                  let! unknown = answer site "" [ "adopt"; "nope"; "--yes" ]
                  Expect.equal unknown.Code ExitCode.Failed "no such table"
              })

          testCaseTask "show the members and the status of the tables" (fun () ->
              task {
                  use! site = start ()
                  let! members = Run.at site [ "cluster"; "members" ]

                  expectOutput
                      (lines [ "NAME     ID   CLIENT URLS             PEER URLS"; "node-1   1    http://127.0.0.1:8443   127.0.0.1:8445" ])
                      members

                  let! json = Run.at site [ "cluster"; "members"; "-o"; "json" ]

                  expectOutput
                      "[{\"name\":\"node-1\",\"id\":\"1\",\"client_urls\":[\"http://127.0.0.1:8443\"],\"peer_urls\":[\"127.0.0.1:8445\"]}]\n"
                      json

                  let! status = Run.at site [ "cluster"; "status" ]
                  Expect.equal status.Code ExitCode.Failed "a table has a fault"
                  Expect.equal status.Errors "regatta: table broken: its log has a hole\n" "the fault"

                  Expect.equal
                      status.Output
                      (lines
                          [ "TABLE     LEADER   TERM   REVISION   FIRST INDEX   LAST INDEX   COMMITTED INDEX   APPLIED INDEX   DURABLE INDEX   LOG BYTES   DB BYTES"
                            "default   1        3      7          4             13           12                11              9               4096        1234567" ])
                      "the table"

                  let! config = Run.at site [ "cluster"; "status"; "--config"; "-o"; "simple" ]
                  expectOutput "raft.node-id\t1\n" config
              })

          testCaseTask "move-leader names the table and the node that leads then" (fun () ->
              task {
                  use! site = start ()
                  let! moved = Run.at site [ "cluster"; "move-leader"; "--to"; "2" ]
                  expectOutput (lines [ "table default"; "leader 2" ]) moved
                  let! json = Run.at site [ "cluster"; "move-leader"; "-t"; "default"; "--to"; "3"; "-o"; "json" ]
                  expectOutput "{\"table\":\"default\",\"leader\":3}\n" json
                  Expect.sequenceEqual site.State.Calls [ "MoveLeader 2"; "MoveLeader 3" ] "what arrived"
                  let! unknown = Run.at site [ "cluster"; "move-leader"; "-t"; "nope"; "--to"; "2" ]
                  Expect.equal unknown.Code ExitCode.Failed "no such table"

                  site.State.Fault <-
                      fun _ _ -> refuseWith StatusCode.InvalidArgument "node_id 7 is no node of this site, which has 1, 2, 3"

                  let! stranger = Run.at site [ "cluster"; "move-leader"; "--to"; "7" ]
                  Expect.equal stranger.Code ExitCode.Failed "no such node"
                  Expect.equal stranger.Errors "regatta: node_id 7 is no node of this site, which has 1, 2, 3\n" "the node's words"
              }) ]

let private hashes =
    let bytes (number: byte) = ByteString.CopyFrom [| yield! Array.create 15 0xABuy; number |]
    let hex = String.replicate 15 "ab"

    let node id hash chain = NodeHash(NodeId = id, Revision = 7UL, Hash = hash, ChainHash = chain)

    testList
        "table hash"
        [ testCaseTask "shows what each node has, and is content when no two of them differ" (fun () ->
              task {
                  use! site = start ()
                  site.State.Hashes <- [ node 1UL (bytes 1uy) (bytes 2uy); node 2UL (bytes 1uy) (bytes 2uy) ]
                  let! table = Run.at site [ "table"; "hash" ]

                  expectOutput
                      (lines
                          [ "NODE   REVISION   HASH                               CHAIN HASH"
                            $"1      7          {hex}01   {hex}02"
                            $"2      7          {hex}01   {hex}02" ])
                      table

                  // A node that had moved on has the chain hash only: that is no difference.
                  site.State.Hashes <- [ node 1UL (bytes 1uy) (bytes 2uy); node 2UL ByteString.Empty (bytes 2uy) ]
                  let! past = Run.at site [ "table"; "hash"; "-t"; "default"; "--revision"; "7"; "-o"; "jsonl" ]

                  expectOutput
                      (lines
                          [ $"{{\"node\":1,\"revision\":7,\"hash\":\"{hex}01\",\"chain_hash\":\"{hex}02\"}}"
                            $"{{\"node\":2,\"revision\":7,\"hash\":\"\",\"chain_hash\":\"{hex}02\"}}" ])
                      past

                  Expect.sequenceEqual site.State.Calls [ "TableHash 0"; "TableHash 7" ] "what arrived"
              })

          testCaseTask "fails loudly when nodes differ, in content or in history" (fun () ->
              task {
                  use! site = start ()

                  for second in
                      [ node 2UL (bytes 9uy) (bytes 2uy); node 2UL (bytes 1uy) (bytes 9uy); node 2UL ByteString.Empty (bytes 9uy) ] do
                      site.State.Hashes <- [ node 1UL (bytes 1uy) (bytes 2uy); second ]
                      let! result = Run.at site [ "table"; "hash"; "-o"; "simple" ]
                      Expect.equal result.Code ExitCode.Failed "exit code"

                      Expect.stringStarts
                          result.Errors
                          "regatta: the nodes do not hold the same in table default at revision 7\n"
                          "what is wrong"

                      Expect.equal (result.Output.Split('\n').Length) 3 "both are shown"
              })

          testCaseTask "names the nodes that have no answer, and is not content then" (fun () ->
              task {
                  use! site = start ()
                  let silent = NodeHash(NodeId = 3UL, Revision = 7UL, Error = "node 3 is not reachable: connection refused")
                  site.State.Hashes <- [ node 1UL (bytes 1uy) (bytes 2uy); node 2UL (bytes 1uy) (bytes 2uy); silent ]
                  let! result = Run.at site [ "table"; "hash"; "-o"; "simple" ]
                  Expect.equal result.Code ExitCode.Failed "exit code"
                  Expect.equal result.Errors "regatta: node 3: node 3 is not reachable: connection refused\n" "which"
                  Expect.equal result.Output $"1\t7\t{hex}01\t{hex}02\n2\t7\t{hex}01\t{hex}02\n" "the others"
              }) ]


let all = testList "commands" [ tables; hashes ]
