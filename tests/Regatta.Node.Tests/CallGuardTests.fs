/// What becomes of a call that ends with an exception.
module Regatta.Node.Tests.CallGuardTests

open System
open System.IO
open System.Threading
open Expecto
open Grpc.Core
open Microsoft.Extensions.Logging
open Regatta.Node
open Regatta.Node.Tests.MadeUpNodes

/// The status, and what the node's log says.
let private translated (cause: exn) isCancelled =
    use loggers = new RecordingLoggers()
    let guard = CallGuard(CallStatistics(), loggers.CreateLogger<CallGuard>())
    let status = guard.Translate(cause, DirectCall(DateTime.MaxValue, CancellationToken isCancelled)).Status
    status.StatusCode, [ for entry in loggers.AtLeast LogLevel.Information -> entry.Message ]

let tests =
    testList
        "a call that fails"
        [ for cause in
              [ OperationCanceledException() :> exn
                IOException "The client reset the request stream."
                InvalidOperationException "Can't write the message because the request is complete." ] do
              testCase $"is cancelled if the client has left, and else a mistake that is logged: {cause.GetType().Name}"
              <| fun () ->
                  Expect.equal (translated cause true) (StatusCode.Cancelled, []) "the client has left"
                  let code, logged = translated cause false
                  Expect.equal code StatusCode.Internal "nobody has left"
                  Expect.hasLength logged 1 "told to the operator"
                  Expect.stringContains logged.Head "please report this" "as a mistake"

          testCase "may be repeated elsewhere if its table was closed"
          <| fun () -> Expect.equal (translated (ObjectDisposedException "table") false) (StatusCode.Unavailable, []) "no mistake" ]
