/// How a command ends that does not end well.
module ExitCodeTests

open System
open System.Diagnostics
open System.IO
open System.Threading.Tasks
open Expecto
open Google.Protobuf
open Grpc.Core
open Regatta.Cli
open FakeSite
open CommandOutput

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

let all = testList "commands" [ errors; closedPipe ]
