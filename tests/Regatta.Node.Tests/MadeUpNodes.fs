/// Nodes of a site that answer as they are told, and the service that asks them.
module internal Regatta.Node.Tests.MadeUpNodes

open System
open System.Collections.Immutable
open System.Threading
open System.Threading.Tasks
open Expecto
open Grpc.Core
open Regatta.Core
open Regatta.Node

/// A call that came without a connection.
type DirectCall(deadline: DateTime, cancelled: CancellationToken) =
    inherit ServerCallContext()
    override _.MethodCore = "/regatta.v1ext.Site/Direct"
    override _.HostCore = "localhost"
    override _.PeerCore = "nobody"
    override _.DeadlineCore = deadline
    override _.RequestHeadersCore = Metadata()
    override _.CancellationTokenCore = cancelled
    override _.ResponseTrailersCore = Metadata()
    override _.AuthContextCore = AuthContext(null, Collections.Generic.Dictionary())

    override _.StatusCore
        with get () = Status.DefaultSuccess
        and set _ = ()

    override _.WriteOptionsCore
        with get () = WriteOptions()
        and set _ = ()

    override _.WriteResponseHeadersAsyncCore _ = Task.CompletedTask
    override _.CreatePropagationTokenCore _ = failtest "not asked for"

let direct () = DirectCall(DateTime.MaxValue, CancellationToken.None)

type Hashing = int64 -> int64 -> CancellationToken -> Task<NodeHashes>

/// Three nodes that answer as they are told.
type ThreeNodes(hash: Hashing, chain: Hashing, move: int64 -> CancellationToken -> Task<Rejection | null>) =
    interface ISiteCalls with
        member _.Members = ImmutableArray.Create(1L, 2L, 3L)
        member _.HashAsync(node, _, revision, deadline) = hash node revision deadline
        member _.ChainAsync(node, _, revision, deadline) = chain node revision deadline
        member _.MoveLeaderAsync(_, node, deadline) = move node deadline
        member _.DescribeAsync(_, _) = failtest "not asked for"

let serviceOf site (node: RunningNode) =
    SiteService(
        site,
        TableComparison(site, TimeProvider.System),
        node.Node.Following,
        node.Node.Served,
        BearerToken "",
        CallDeadlines(TimeSpan.FromSeconds 30.0, TimeProvider.System)
    )

let noMove _ _ : Task<Rejection | null> = failtest "not asked for"
let noHash _ _ _ : Task<NodeHashes> = failtest "not asked for"
let service hash move = serviceOf (ThreeNodes(hash, noHash, move))
let hashing hash chain = serviceOf (ThreeNodes(hash, chain, noMove))
let content (number: int64) = Nullable(TableHash(UInt128.op_Implicit (uint64 number)))
let chain (number: int64) = ChainHash(UInt128.op_Implicit (uint64 number))

let untilCancelled (token: CancellationToken) =
    task {
        let gone = TaskCompletionSource()
        use _ = token.Register(fun () -> gone.TrySetCanceled token |> ignore)
        do! gone.Task
    }
