module CommandTests

open System
open System.Diagnostics
open System.IO
open System.Threading.Tasks
open Expecto
open Google.Protobuf
open Grpc.Core
open Regatta.Cli
open FakeSite

let private lines (expected: string list) = String.concat "\n" expected + "\n"

let private withKeys () =
    task {
        let! site = start ()

        for key, value in
            [ Bytes.ofText "a", Bytes.ofText "1"
              Bytes.ofText "b", [| 0xFFuy; 0uy |]
              Bytes.ofText "lib/x", Bytes.ofText "two\nlines \"quoted\""
              [| 0xFEuy |], Bytes.ofText (String('v', 100)) ] do
            site.State.Put(ByteString.CopyFrom key, ByteString.CopyFrom value) |> ignore

        return site
    }

let private expectOutput (expected: string) (result: Run.Result) =
    Expect.equal (result.Code, result.Errors) (ExitCode.Ok, "") "exit code, errors"
    Expect.equal result.Output expected "output"

let private get =
    testList
        "kv get"
        [ testCaseTask "prints the exact bytes of the value and a line feed" (fun () ->
              task {
                  use! site = withKeys ()
                  let! result = Run.at site [ "kv"; "get"; "b" ]
                  Expect.equal (result.Code, result.Bytes) (ExitCode.Ok, [| 0xFFuy; 0uy; 10uy |]) "bytes"
              })

          testCaseTask "does not let a value steer the terminal" (fun () ->
              task {
                  use! site = withKeys ()
                  site.State.Put(ByteString.CopyFromUtf8 "evil", ByteString.CopyFromUtf8 "\u001b[2J\tback\\slash\nline") |> ignore
                  let setup = { Run.plain with Environment = [ "REGATTA_ENDPOINTS", site.Endpoint ]; Terminal = true }
                  let! result = Run.withSetup setup [ "kv"; "get"; "evil" ]
                  expectOutput "\\x1b[2J\tback\\slash\nline\n" result
              })

          testCaseTask "of a missing key is exit code 3, with nothing on standard output" (fun () ->
              task {
                  use! site = withKeys ()

                  for format in [ []; [ "-o"; "table" ]; [ "--keys-only" ] ] do
                      let! result = Run.at site ([ "kv"; "get"; "nope" ] @ format)
                      Expect.equal result.Code ExitCode.NotFound "exit code"
                      Expect.equal result.Errors "regatta: nope is not in table default\n" "error"

                  let! range = Run.at site [ "kv"; "get"; "x"; "y" ]

                  Expect.equal
                      (range.Code, range.Errors)
                      (ExitCode.NotFound, "regatta: table default has no key in this range\n")
                      "a range"
              })

          testCaseTask "prints one pair in every format" (fun () ->
              task {
                  use! site = withKeys ()
                  let! table = Run.at site [ "kv"; "get"; "b"; "-o"; "table" ]

                  expectOutput
                      (lines [ "KEY   CREATED   MODIFIED   VERSION   VALUE"; "b     2         2          1         \\xff\\x00" ])
                      table

                  let! json = Run.at site [ "kv"; "get"; "b"; "-o"; "json" ]

                  expectOutput
                      (lines
                          [ "{\"revision\":4,\"kvs\":[{\"key\":\"b\",\"value_b64\":\"/wA=\",\"create_revision\":2,\"mod_revision\":2,\"version\":1}],\"count\":1,\"more\":false}" ])
                      json

                  let! jsonl = Run.at site [ "kv"; "get"; "b"; "-o"; "jsonl" ]

                  expectOutput
                      (lines [ "{\"key\":\"b\",\"value_b64\":\"/wA=\",\"create_revision\":2,\"mod_revision\":2,\"version\":1}" ])
                      jsonl

                  let! keys = Run.at site [ "kv"; "get"; "b"; "--keys-only" ]
                  expectOutput "b\n" keys
                  let! count = Run.at site [ "kv"; "get"; "b"; "--count-only" ]
                  expectOutput "1\n" count
                  let! none = Run.at site [ "kv"; "get"; "nope"; "--count-only" ]
                  expectOutput "0\n" none
              }) ]

let private range =
    testList
        "kv range"
        [ testCaseTask "prints all pages in every format" (fun () ->
              task {
                  use! site = withKeys ()
                  let! simple = Run.at site [ "kv"; "range"; "--all" ]
                  let v = String('v', 100)
                  expectOutput (lines [ "a\t1"; "b\t\\xff\\x00"; "lib/x\ttwo\\nlines \"quoted\""; $"\\xfe\t{v}" ]) simple
                  let! table = Run.at site [ "kv"; "range"; "--all"; "-o"; "table" ]

                  expectOutput
                      (lines
                          [ "KEY     CREATED   MODIFIED   VERSION   VALUE"
                            "a       1         1          1         1"
                            "b       2         2          1         \\xff\\x00"
                            "lib/x   3         3          1         two\\nlines \"quoted\""
                            $"\\xfe    4         4          1         {String('v', 57)}..." ])
                      table

                  let! json = Run.at site [ "kv"; "range"; "--all"; "-o"; "json"; "--keys-only"; "--limit"; "3" ]

                  expectOutput
                      (lines
                          [ "{\"revision\":4,\"kvs\":["
                            + "{\"key\":\"a\",\"create_revision\":1,\"mod_revision\":1,\"version\":1},"
                            + "{\"key\":\"b\",\"create_revision\":2,\"mod_revision\":2,\"version\":1},"
                            + "{\"key\":\"lib/x\",\"create_revision\":3,\"mod_revision\":3,\"version\":1}],\"count\":3,\"more\":true}" ])
                      json

                  let! jsonl = Run.at site [ "kv"; "range"; "--prefix"; "\\xfe"; "--escaped"; "-o"; "jsonl" ]

                  expectOutput
                      (lines [ $"{{\"key_b64\":\"/g==\",\"value\":\"{v}\",\"create_revision\":4,\"mod_revision\":4,\"version\":1}}" ])
                      jsonl
              })

          testCaseTask "selects by prefix, by bounds, or from a key on" (fun () ->
              task {
                  use! site = withKeys ()

                  for arguments, expected in
                      [ [ "--prefix"; "lib" ], [ "lib/x" ]
                        [ "b"; "c" ], [ "b" ]
                        [ "--from"; "b" ], [ "b"; "lib/x"; "\\xfe" ]
                        [ "--prefix"; "" ], [ "a"; "b"; "lib/x"; "\\xfe" ]
                        [ "x"; "y" ], [] ] do
                      let! result = Run.at site ([ "kv"; "range"; "--keys-only" ] @ arguments)
                      expectOutput (String.concat "" [ for key in expected -> key + "\n" ]) result
              })

          testCaseTask "prints an empty range as an empty one" (fun () ->
              task {
                  use! site = withKeys ()
                  let! json = Run.at site [ "kv"; "range"; "x"; "y"; "-o"; "json" ]
                  expectOutput (lines [ "{\"revision\":4,\"kvs\":[],\"count\":0,\"more\":false}" ]) json
                  let! table = Run.at site [ "kv"; "range"; "x"; "y"; "-o"; "table" ]
                  expectOutput (lines [ "KEY   CREATED   MODIFIED   VERSION   VALUE" ]) table
              })

          testCaseTask "counts without reading" (fun () ->
              task {
                  use! site = withKeys ()
                  let! simple = Run.at site [ "kv"; "range"; "--all"; "--count-only" ]
                  expectOutput "4\n" simple
                  let! json = Run.at site [ "kv"; "range"; "--all"; "--count-only"; "-o"; "json" ]
                  expectOutput "{\"revision\":4,\"count\":4,\"more\":false}\n" json
                  let! jsonl = Run.at site [ "kv"; "range"; "--all"; "--count-only"; "-o"; "jsonl" ]
                  expectOutput "{\"count\":4}\n" jsonl
              })

          testCaseTask "repeats the heading of a table after a thousand rows, so that it need not hold more" (fun () ->
              task {
                  use! site = start ()

                  for i in 1..1001 do
                      site.State.Put(ByteString.CopyFromUtf8 $"k%04d{i}", ByteString.CopyFromUtf8 "v") |> ignore

                  let! result = Run.at site [ "kv"; "range"; "--all"; "-o"; "table" ]
                  let headings = result.Output.Split '\n' |> Array.filter (fun line -> line.StartsWith "KEY") |> Array.length
                  Expect.equal (headings, result.Output.Split('\n').Length) (2, 1004) "headings, lines"
              }) ]

let private writes =
    testList
        "kv put and kv del"
        [ testCaseTask "take the value from the command line, standard input or a file, to the last byte" (fun () ->
              task {
                  use! site = start ()
                  let stored (key: string) = site.State.Keys[Bytes.ofText key].Value.ToByteArray()
                  let! plain = Run.at site [ "kv"; "put"; "a"; "caf\u00e9" ]
                  expectOutput "revision 1\n" plain
                  Expect.equal (stored "a") (Bytes.ofText "caf\u00e9") "command line"
                  let nasty = [| 0uy; 10uy; 0xFFuy; 13uy; 10uy |]
                  let! input = Run.atWithInput site nasty [ "kv"; "put"; "b"; "-" ]
                  expectOutput "revision 2\n" input
                  Expect.equal (stored "b") nasty "standard input"
                  let file = Path.GetTempFileName()

                  try
                      File.WriteAllBytes(file, nasty)
                      let! fromFile = Run.at site [ "kv"; "put"; "c"; "@" + file ]
                      expectOutput "revision 3\n" fromFile
                      Expect.equal (stored "c") nasty "file"
                  finally
                      File.Delete file

                  let! literal = Run.at site [ "kv"; "put"; "d"; "@nofile"; "--literal" ]
                  expectOutput "revision 4\n" literal
                  Expect.equal (stored "d") (Bytes.ofText "@nofile") "literal"
                  let! escaped = Run.at site [ "kv"; "put"; "\\x65"; "\\xff"; "--escaped" ]
                  expectOutput "revision 5\n" escaped
                  Expect.equal (stored "e") [| 0xFFuy |] "escaped"
                  let! missing = Run.at site [ "kv"; "put"; "f"; "@/nowhere/file" ]
                  Expect.equal missing.Code ExitCode.Failed "a file that is not there"
                  Expect.stringContains missing.Errors "/nowhere/file" "names it"
              })

          testCaseTask "print revision and replaced pair in every format" (fun () ->
              task {
                  use! site = withKeys ()
                  let! simple = Run.at site [ "kv"; "put"; "a"; "2"; "--prev-kv" ]
                  expectOutput (lines [ "revision 5"; "a\t1" ]) simple
                  let! json = Run.at site [ "kv"; "put"; "a"; "3"; "--prev-kv"; "-o"; "json" ]

                  expectOutput
                      "{\"revision\":6,\"prev_kvs\":[{\"key\":\"a\",\"value\":\"2\",\"create_revision\":1,\"mod_revision\":5,\"version\":2}]}\n"
                      json

                  let! table = Run.at site [ "kv"; "put"; "new"; "3"; "--prev-kv"; "-o"; "table" ]
                  expectOutput (lines [ "REVISION"; "7" ]) table
              })

          testCaseTask "delete one key, a range or a prefix, and count when asked" (fun () ->
              task {
                  use! site = withKeys ()
                  let! one = Run.at site [ "kv"; "del"; "a" ]
                  expectOutput "revision 5\n" one
                  let! counted = Run.at site [ "kv"; "del"; "lib"; "--prefix"; "--count" ]
                  expectOutput (lines [ "revision 6"; "deleted 1" ]) counted
                  let! previous = Run.at site [ "kv"; "del"; "a"; "z"; "--prev-kv"; "-o"; "json" ]

                  expectOutput
                      "{\"revision\":7,\"deleted\":1,\"prev_kvs\":[{\"key\":\"b\",\"value_b64\":\"/wA=\",\"create_revision\":2,\"mod_revision\":2,\"version\":1}]}\n"
                      previous

                  let! table = Run.at site [ "kv"; "del"; "a"; "z"; "--count"; "-o"; "table" ]
                  expectOutput (lines [ "REVISION   DELETED"; "8          0" ]) table
              }) ]

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

let private errors =
    testList
        "A failure"
        [ testCaseTask "has an exit code that scripts can tell apart, one sentence, and what to do" (fun () ->
              task {
                  use! site = withKeys ()
                  use nobody = new Nobody()
                  let! unreachable = Run.regatta [ "kv"; "get"; "a"; "--endpoints"; nobody.Endpoint ]
                  Expect.equal unreachable.Code ExitCode.Unreachable "unreachable"

                  Expect.equal
                      unreachable.Errors
                      $"regatta: no node answers at {nobody.Endpoint} (connection refused)\n  start a node with `regatta dev`, or say with --endpoints where one is\n"
                      "unreachable"

                  let! table = Run.at site [ "kv"; "get"; "a"; "-t"; "nope" ]
                  Expect.equal table.Code ExitCode.Failed "no such table"

                  Expect.equal
                      table.Errors
                      "regatta: table not found\n  see `regatta table list`; `regatta table create NAME` makes one, -t chooses it\n"
                      "no such table"

                  site.State.Fault <- fun _ _ -> refuseWith StatusCode.FailedPrecondition "key length exceeded max allowed value"
                  let! refused = Run.at site [ "kv"; "put"; "a"; "b" ]

                  Expect.equal
                      (refused.Code, refused.Errors)
                      (ExitCode.Failed, "regatta: key length exceeded max allowed value\n")
                      "refused"

                  site.State.Fault <- fun _ _ -> refuseWith StatusCode.Unknown "lost"
                  let! unknown = Run.at site [ "kv"; "put"; "a"; "b" ]

                  Expect.equal
                      (unknown.Code, unknown.Errors)
                      (ExitCode.OutcomeUnknown, "regatta: lost\n  the write may have been applied: read before you repeat it\n")
                      "unknown"
              })

          testCaseTask "in time is reported within the time" (fun () ->
              task {
                  use! site = withKeys ()
                  let never = TaskCompletionSource()
                  site.State.Fault <- fun _ _ -> never.Task
                  let! read = Run.at site [ "kv"; "get"; "a"; "--timeout"; "200ms" ]
                  let! write = Run.at site [ "kv"; "put"; "a"; "b"; "--timeout"; "200ms" ]
                  never.SetResult()
                  Expect.equal (read.Code, write.Code) (ExitCode.Unreachable, ExitCode.OutcomeUnknown) "exit codes"
                  Expect.stringContains read.Errors "--timeout" "what to do"
              }) ]

/// The program as a process of its own: what a pipe does cannot be seen from within.
let private closedPipe =
    testCaseTask "A reader that goes away ends the program quietly, with the exit code of a closed pipe" (fun () ->
        task {
            use! site = start ()

            for i in 1..5000 do
                site.State.Put(ByteString.CopyFromUtf8 $"k%05d{i}", ByteString.CopyFromUtf8(String('v', 200))) |> ignore

            let start = ProcessStartInfo("dotnet", RedirectStandardOutput = true, RedirectStandardError = true)

            for argument in [ Path.Combine(AppContext.BaseDirectory, "regatta.dll"); "kv"; "range"; "--all"; "--endpoints"; site.Endpoint ] do
                start.ArgumentList.Add argument

            use child = nonNull (Process.Start start)
            let! first = child.StandardOutput.ReadLineAsync()
            child.StandardOutput.Close()
            let! errors = child.StandardError.ReadToEndAsync()
            do! child.WaitForExitAsync()
            Expect.equal first $"k00001\t{String('v', 200)}" "the first line"
            Expect.equal (child.ExitCode, errors) (ExitCode.ClosedPipe, "") "quiet"
            Expect.isLessThan (site.State.Calls.Count) 2500 "it stopped fetching"
        })

let all = testList "commands" [ get; range; writes; tables; errors; closedPipe ]
