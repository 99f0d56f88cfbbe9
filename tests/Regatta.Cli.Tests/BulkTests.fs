module BulkTests

open System
open System.Collections.Generic
open System.IO
open System.Threading
open System.Threading.Tasks
open Expecto
open FsCheck.FSharp
open Google.Protobuf
open Grpc.Core
open Regatta.Cli
open Regatta.Testing
open FakeSite

let private inDirectory (body: string -> Task<unit>) =
    task {
        let directory = Directory.CreateTempSubdirectory "regatta-cli-"

        try
            do! body directory.FullName
        finally
            directory.Delete true
    }

let private record key value = $"{{\"key\":\"{key}\",\"value\":\"{value}\"}}"

let private contents (site: Site) = [ for pair in site.State.Keys -> pair.Key, pair.Value.Value.ToByteArray() ]

let private roundTrip =
    testCaseTask "What dump writes, load reads: the same pairs, and a second dump of the same bytes, whatever the bytes are" (fun () ->
        task {
            do!
                inDirectory (fun directory ->
                    task {
                        let random =
                            Gen.sampleWithSeed
                                (FsCheck.Rnd(uint64 Seed.current))
                                20
                                (Scale.pick 300 3000)
                                (Gen.zip Bytes.nasty Bytes.nasty)

                        use! first = start ()
                        use! second = start ()

                        for key, value in random do
                            if key.Length > 0 then first.State.Put(ByteString.CopyFrom key, ByteString.CopyFrom value) |> ignore

                        let file = Path.Combine(directory, "dump.jsonl")
                        let again = Path.Combine(directory, "again.jsonl")
                        let! dumped = Run.at first [ "kv"; "dump"; file ]
                        let count = first.State.Keys.Count
                        Expect.equal (dumped.Code, dumped.Output) (ExitCode.Ok, "") dumped.Errors

                        Expect.equal
                            dumped.Errors
                            $"dumped {count} records of table default at revision {first.State.Header.Revision}\n"
                            "what it says"

                        let! loaded = Run.at second [ "kv"; "load"; file ]

                        Expect.equal
                            (loaded.Code, loaded.Output)
                            (ExitCode.Ok, $"written {count}\nfailed 0\n")
                            $"{loaded.Errors}, seed {Seed.current}"

                        Expect.equal (contents second) (contents first) $"the pairs, seed {Seed.current}"
                        let! _ = Run.at second [ "kv"; "dump"; again ]
                        Expect.equal (File.ReadAllBytes again) (File.ReadAllBytes file) $"the second dump, seed {Seed.current}"
                        let! toOutput = Run.at second [ "kv"; "dump" ]
                        Expect.equal toOutput.Bytes (File.ReadAllBytes file) "standard output"
                        Expect.sequenceEqual (Directory.GetFiles directory |> Array.sort) [ again; file ] "no other files"
                    })
        })

let private dump =
    testList
        "kv dump"
        [ testCaseTask "that fails half-way leaves the old file as it was and nothing beside it" (fun () ->
              task {
                  do!
                      inDirectory (fun directory ->
                          task {
                              use! site = start ()

                              for key in [ "a"; "b"; "c" ] do
                                  site.State.Put(ByteString.CopyFromUtf8 key, ByteString.CopyFromUtf8 "v") |> ignore

                              site.State.Fault <-
                                  fun name key ->
                                      if name = "Page" && key = Bytes.ofText "c" then
                                          refuseWith StatusCode.Unavailable "stopping"
                                      else
                                          Task.CompletedTask

                              let file = Path.Combine(directory, "dump.jsonl")
                              File.WriteAllText(file, "the last good dump\n")
                              let! result = Run.at site [ "kv"; "dump"; file ]

                              Expect.equal
                                  (result.Code, result.Errors)
                                  (ExitCode.Unreachable, "regatta: stopping\n  try again\n")
                                  "the error"

                              Expect.equal (File.ReadAllText file) "the last good dump\n" "the old file"
                              Expect.sequenceEqual (Directory.GetFiles directory) [ file ] "no other files"
                          })
              })

          testCaseTask "replaces the file behind a symbolic link, and writes to a device directly" (fun () ->
              task {
                  do!
                      inDirectory (fun directory ->
                          task {
                              use! site = start ()
                              site.State.Put(ByteString.CopyFromUtf8 "a", ByteString.CopyFromUtf8 "1") |> ignore
                              let file = Path.Combine(directory, "file")
                              let link = Path.Combine(directory, "link")
                              File.WriteAllText(file, "old")
                              File.CreateSymbolicLink(link, "file") |> ignore
                              let! linked = Run.at site [ "kv"; "dump"; link ]
                              Expect.equal linked.Code ExitCode.Ok linked.Errors
                              Expect.equal (File.ReadAllText file) (record "a" "1" + "\n") "the file"
                              Expect.equal (FileInfo(link).LinkTarget) "file" "the link is still one"
                              let! device = Run.at site [ "kv"; "dump"; "/dev/null" ]
                              Expect.equal device.Code ExitCode.Ok device.Errors
                          })
              })

          testCaseTask "selects by prefix" (fun () ->
              task {
                  use! site = start ()

                  for key in [ "a"; "lib/a"; "lib/b"; "m" ] do
                      site.State.Put(ByteString.CopyFromUtf8 key, ByteString.CopyFromUtf8 "v") |> ignore

                  let! result = Run.at site [ "kv"; "dump"; "--prefix"; "lib/" ]
                  Expect.equal result.Output (record "lib/a" "v" + "\n" + record "lib/b" "v" + "\n") "pairs"
              })

          testCaseTask "into a directory that does not exist is refused and names it" (fun () ->
              task {
                  use! site = start ()
                  let! result = Run.at site [ "kv"; "dump"; "/nowhere/dump.jsonl" ]
                  Expect.equal result.Code ExitCode.Failed "exit code"
                  Expect.stringContains result.Errors "/nowhere/dump.jsonl" "the name"
              }) ]

let private load =
    testList
        "kv load"
        [ testCaseTask "stops at the first record that is refused, names file and line, and says what is written" (fun () ->
              task {
                  do!
                      inDirectory (fun directory ->
                          task {
                              use! site = start ()

                              site.State.Fault <-
                                  fun _ key ->
                                      if key = Bytes.ofText "k50" then
                                          refuseWith StatusCode.FailedPrecondition "value length exceeded max allowed value"
                                      else
                                          Task.CompletedTask

                              let file = Path.Combine(directory, "records.jsonl")
                              File.WriteAllLines(file, [ for i in 1..1000 -> record $"k{i}" "v" ])
                              let! result = Run.at site [ "kv"; "load"; file; "--concurrency"; "4" ]
                              Expect.equal result.Code ExitCode.Failed "exit code"

                              Expect.stringStarts
                                  result.Errors
                                  $"regatta: {file}, line 50: value length exceeded max allowed value\n"
                                  "file and line"

                              Expect.stringContains result.Errors "every line before 50 is written" "what is certain"
                              Expect.equal result.Output $"written {site.State.Keys.Count}\nfailed 1\n" "the count"
                              site.State.Fault <- fun _ _ -> Task.CompletedTask
                              let! rest = Run.at site [ "kv"; "load"; file; "--from-line"; "50" ]
                              Expect.equal (rest.Code, rest.Output) (ExitCode.Ok, "written 951\nfailed 0\n") "the rest"
                              Expect.equal site.State.Keys.Count 1000 "all there"
                          })
              })

          testCaseTask "goes on behind wrong and refused lines with --continue, and reports them" (fun () ->
              task {
                  use! site = start ()

                  site.State.Fault <-
                      fun _ key -> if key = Bytes.ofText "bad" then refuseWith StatusCode.FailedPrecondition "no" else Task.CompletedTask

                  let text = String.concat "\n" [ record "a" "1"; "nonsense"; record "bad" "2"; record "b" "3" ]
                  let! result = Run.atWithInput site (Bytes.ofText text) [ "kv"; "load"; "-"; "--continue"; "-o"; "json" ]
                  Expect.equal (result.Code, result.Output) (ExitCode.Failed, "{\"written\":2,\"failed\":2}\n") "count"
                  let errors = result.Errors.Split '\n'
                  Expect.stringStarts errors[0] "regatta: standard input, line 2: this is not JSON" "malformed"
                  Expect.equal errors[1] "regatta: standard input, line 3: no" "refused"
                  Expect.equal (contents site) [ Bytes.ofText "a", Bytes.ofText "1"; Bytes.ofText "b", Bytes.ofText "3" ] "the others"
              })

          testCaseTask "stops at a line that is no record" (fun () ->
              task {
                  use! site = start ()
                  let text = String.concat "\n" [ record "a" "1"; "{\"key\":\"b\"}"; record "c" "3" ]
                  let! result = Run.atWithInput site (Bytes.ofText text) [ "kv"; "load"; "-" ]
                  Expect.equal (result.Code, result.Output) (ExitCode.Failed, "written 1\nfailed 1\n") "count"
                  Expect.stringContains result.Errors "standard input, line 2: value is missing" "why"
                  Expect.equal (contents site) [ Bytes.ofText "a", Bytes.ofText "1" ] "nothing behind it"
              })

          testCaseTask "of which a write's fate is unknown says so with its exit code" (fun () ->
              task {
                  use! site = start ()

                  site.State.Fault <-
                      fun _ key -> if key = Bytes.ofText "b" then refuseWith StatusCode.Unknown "lost" else Task.CompletedTask

                  let text = String.concat "\n" [ record "a" "1"; record "b" "2" ]
                  let! result = Run.atWithInput site (Bytes.ofText text) [ "kv"; "load"; "-"; "--continue" ]
                  Expect.equal result.Code ExitCode.OutcomeUnknown "exit code"
                  Expect.stringContains result.Errors "line 2: lost (the write may have been applied" "why"
              })

          testCaseTask "that is interrupted reports what is written" (fun () ->
              task {
                  use! site = start ()
                  use interrupt = new CancellationTokenSource()
                  site.State.Fault <- interruptAt 20 interrupt

                  let setup =
                      { Run.plain with
                          Environment = [ "REGATTA_ENDPOINTS", site.Endpoint ]
                          Input = Bytes.ofText (String.concat "\n" [ for i in 1..5000 -> record $"k{i}" "v" ])
                          Interrupted = interrupt.Token }

                  let! result = Run.withSetup setup [ "kv"; "load"; "-"; "--concurrency"; "4" ]
                  Expect.equal result.Code ExitCode.Interrupted "exit code"
                  Expect.equal result.Output $"written {site.State.Keys.Count}\nfailed 0\n" "the count"
                  Expect.isLessThan site.State.Keys.Count 25 "it stopped within the window"
              })

          testCaseTask "shows its progress on a terminal's standard error, without colours when NO_COLOR says so" (fun () ->
              task {
                  use! site = start ()
                  let text = String.concat "\n" [ for i in 1..200 -> record $"k{i}" "v" ]

                  let load environment terminal =
                      Run.withSetup
                          { Run.plain with
                              Environment = [ "REGATTA_ENDPOINTS", site.Endpoint ] @ environment
                              Input = Bytes.ofText text
                              Terminal = terminal }
                          [ "kv"; "load"; "-" ]

                  let coloured = System.Text.RegularExpressions.Regex @"\x1b\[[0-9;]*m"
                  let! shown = load [] true
                  Expect.equal (shown.Code, shown.Output) (ExitCode.Ok, "written 200\nfailed 0\n") "output"
                  Expect.stringContains shown.Errors "records" "a bar"
                  Expect.isTrue (coloured.IsMatch shown.Errors) "in colour"
                  let! plain = load [ "NO_COLOR", "1" ] true
                  Expect.stringContains plain.Errors "records" "a bar"
                  Expect.isFalse (coloured.IsMatch plain.Errors) "without colour"
                  let! quiet = load [] false
                  Expect.equal quiet.Errors "" "nothing where there is no terminal"
              })

          testCaseTask "reads what kv range -o jsonl prints" (fun () ->
              task {
                  use! first = start ()
                  use! second = start ()
                  first.State.Put(ByteString.CopyFrom [| 0xFFuy |], ByteString.CopyFromUtf8 "v") |> ignore
                  let! printed = Run.at first [ "kv"; "range"; "--all"; "-o"; "jsonl" ]
                  let! loaded = Run.atWithInput second printed.Bytes [ "kv"; "load"; "-" ]
                  Expect.equal loaded.Code ExitCode.Ok loaded.Errors
                  Expect.equal (contents second) (contents first) "the pairs"
              })

          testCaseTask "from a file that is not there is refused and names it" (fun () ->
              task {
                  use! site = start ()
                  let! result = Run.at site [ "kv"; "load"; "/nowhere/records.jsonl" ]
                  Expect.equal result.Code ExitCode.Failed "exit code"
                  Expect.stringContains result.Errors "/nowhere/records.jsonl" "the name"
              }) ]

let all = testList "bulk" [ roundTrip; dump; load ]
