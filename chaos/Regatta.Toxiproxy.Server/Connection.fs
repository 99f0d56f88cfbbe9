namespace Regatta.Toxiproxy.Server

open System.Net.Sockets
open System.Threading.Tasks

/// An open connection: a client, the server that it wanted, and the links between them. When one link has ended, so has the stream of the other: there is
/// no half-closed connection, as in the original.
[<Sealed>]
type internal Connection(chain: ToxicChain, client: Socket, server: Socket) =
    let clientPeer = Peer client
    let serverPeer = Peer server
    let up, down = chain.Open(clientPeer, serverPeer)

    let runAsync (link: Link) =
        task {
            link.Start()
            do! link.OverAsync()
            chain.Forget link
            do! link.StoppedAsync()
        }

    /// Carries its bytes, until it has ended.
    member _.RunAsync() : Task = Task.WhenAll [| runAsync up; runAsync down |]

    /// Closes both sides; what is on its way is lost.
    member _.Abort() =
        up.Abort()
        down.Abort()
