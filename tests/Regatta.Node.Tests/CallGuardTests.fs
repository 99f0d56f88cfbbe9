/// What becomes of a call that ends with an exception.
module Regatta.Node.Tests.CallGuardTests

open System
open System.IO
open System.Net
open System.Threading
open System.Threading.Tasks
open Expecto
open Grpc.Core
open Grpc.Net.Client
open Microsoft.Extensions.Logging
open Regatta.Node
open Regatta.Node.Tests.MadeUpNodes
open Regatta.Protocol.V1

let private guarded (loggers: RecordingLoggers) = CallGuard(CallStatistics(), (loggers :> ILoggerFactory).CreateLogger<CallGuard>())
let private logged (loggers: RecordingLoggers) = [ for entry in loggers.AtLeast LogLevel.Error -> entry.Message ]

/// The status, and what the node's log says.
let private translated (cause: exn) isCancelled =
    use loggers = new RecordingLoggers()
    let status = (guarded loggers).Translate(cause, DirectCall(DateTime.MaxValue, CancellationToken isCancelled)).Status
    status.StatusCode, logged loggers

/// Waits until its client has left, and then does something.
type private Left(does: IAsyncStreamReader<WatchRequest> -> IServerStreamWriter<WatchResponse> -> Task) =
    inherit KV.KVBase()
    let ended = TaskCompletionSource TaskCreationOptions.RunContinuationsAsynchronously
    member _.Ended = ended.Task

    override _.Watch(requests, replies, context) =
        task {
            try
                let left = TaskCompletionSource TaskCreationOptions.RunContinuationsAsynchronously
                use _ = context.CancellationToken.Register(fun () -> left.SetResult())
                // The client learns that the call is here.
                do! replies.WriteAsync(WatchResponse())
                do! left.Task
                do! does requests replies
            finally
                ended.SetResult()
        }

/// What the node's log says of a call whose client has left, and that does this then.
let private saidOf does () =
    task {
        use loggers = new RecordingLoggers()
        let service = Left does
        let add (endpoints: ApiServer.Endpoints) = endpoints.Add<KV.KVBase>(fun binder -> KV.BindService(binder, service))

        use server =
            ApiServer.Build("api.address", ListenAddress(IPAddress.Loopback, 0), NodeOptions(), add, guarded loggers, loggers)

        do! server.StartAsync CancellationToken.None

        do!
            task {
                use channel = GrpcChannel.ForAddress(server.Address.ToString())
                use call = KV.KVClient(channel).Watch()
                let! _ = call.ResponseStream.MoveNext CancellationToken.None
                ()
            }

        do! service.Ended
        do! server.StopAsync CancellationToken.None
        return logged loggers
    }

let private leaves name does expected =
    testCaseAsync
        name
        (async {
            let! said = Async.AwaitTask(saidOf does ())
            Expect.equal said.Length (List.length expected) $"%A{said}"

            for line, part in List.zip said expected do
                Expect.stringContains line part "of what"
        })

let tests =
    testList
        "a call that fails"
        [ for cause in [ OperationCanceledException() :> exn; IOException "The client reset the request stream." ] do
              testCase $"is cancelled if the client has left, and else a mistake that is logged: {cause.GetType().Name}"
              <| fun () ->
                  Expect.equal (translated cause true) (StatusCode.Cancelled, []) "the client has left"
                  let code, said = translated cause false
                  Expect.equal code StatusCode.Internal "nobody has left"
                  Expect.hasLength said 1 "told to the operator"
                  Expect.stringContains said.Head "please report this" "as a mistake"

          testCase "may be repeated elsewhere if its table was closed"
          <| fun () -> Expect.equal (translated (ObjectDisposedException "table") false) (StatusCode.Unavailable, []) "no mistake"

          leaves "has made no mistake if it writes when the client has left" (fun _ replies -> replies.WriteAsync(WatchResponse())) []
          leaves
              "has made no mistake if it reads when the client has left"
              (fun requests _ -> requests.MoveNext CancellationToken.None :> Task)
              []
          leaves
              "has made one if it does what cannot be done, though the client has left"
              (fun _ _ -> Task.FromException(InvalidOperationException "there is nothing there"))
              [ "please report this" ] ]
