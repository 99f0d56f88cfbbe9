module KvWriteTests

open System.IO
open Expecto
open Regatta.Cli
open FakeSite
open CommandOutput

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

let all = testList "commands" [ writes ]
