module KvReadTests

open System
open Expecto
open Google.Protobuf
open Regatta.Cli
open FakeSite
open CommandOutput

let private get =
    testList
        "kv get"
        [ testCaseTask "prints the exact bytes of the value and a line feed" (fun () ->
              task {
                  use! site = withKeys ()
                  let! result = Run.at site [ "kv"; "get"; "b" ]
                  Expect.equal (result.Code, result.Bytes) (ExitCode.Ok, [| 0xFFuy; 0uy; 10uy |]) "bytes"
              })

          testCaseTask "asks for a bound on staleness, and prints what the answer says of itself" (fun () ->
              task {
                  use! site = withKeys ()
                  site.State.Trailers <- [ "regatta-staleness-ms", "84"; "regatta-site", "far%20away" ]
                  let! json = Run.at site [ "kv"; "get"; "nope"; "--count-only"; "--max-staleness"; "1.5s"; "-o"; "json" ]
                  expectOutput "{\"revision\":4,\"count\":0,\"more\":false,\"staleness_ms\":84,\"site\":\"far away\"}\n" json
                  Expect.equal site.State.MaxStalenessMs 1500UL "the bound"
                  site.State.Trailers <- [ "regatta-site", "home" ]
                  let! json = Run.at site [ "kv"; "get"; "nope"; "--count-only"; "-o"; "json" ]
                  expectOutput "{\"revision\":4,\"count\":0,\"more\":false,\"site\":\"home\"}\n" json
                  Expect.equal site.State.MaxStalenessMs 0UL "none was asked for"

                  for wrong in [ "soon"; "0s"; "25h" ] do
                      let! refused = Run.at site [ "kv"; "get"; "b"; "--max-staleness"; wrong ]
                      Expect.equal refused.Code ExitCode.Usage wrong
                      Expect.stringContains refused.Errors $"--max-staleness: \"{wrong}\" is not a duration from 1ms to 24h" wrong
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

let all = testList "commands" [ get; range ]
