module TableAndClusterTests

open Expecto
open Regatta.Cli
open FakeSite
open CommandOutput

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

                  let answer (text: string) arguments =
                      Run.withSetup
                          { Run.plain with
                              Environment = [ "REGATTA_ENDPOINTS", site.Endpoint ]
                              InputIsTerminal = true
                              Input = Bytes.ofText text }
                          ([ "table"; "delete"; "policies" ] @ arguments)

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
                          [ "TABLE     LEADER   TERM   REVISION   COMMITTED INDEX   APPLIED INDEX   DURABLE INDEX   LOG BYTES   DB BYTES"
                            "default   1        3      7          12                12              9               4096        1234567" ])
                      "the table"

                  let! config = Run.at site [ "cluster"; "status"; "--config"; "-o"; "simple" ]
                  expectOutput "raft.node-id\t1\n" config
              }) ]

let all = testList "commands" [ tables ]
