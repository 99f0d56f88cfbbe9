namespace Regatta.Toxiproxy.Tests

open System
open System.Net
open System.Net.Sockets
open System.Threading.Tasks
open Regatta.Toxiproxy

/// The two ends of a connection that leads through a proxy.
type Ends(client: Socket, server: Socket) =
    member _.Client = client
    member _.Server = server

    interface IDisposable with
        member _.Dispose() =
            client.Dispose()
            server.Dispose()

/// A listening server, and a proxy that leads to it.
type Line(subject: Subject, listener: TcpListener, proxy: Proxy) =
    let token () = Deadline.token ()

    /// The name of every line's proxy.
    static member Name = "line"

    member _.Address = proxy.Listen
    member _.Client = subject.Client

    /// A new connection through the proxy.
    member _.ConnectAsync() =
        task {
            let! client = Wire.connect proxy.Listen
            let! server = listener.AcceptSocketAsync(token ())
            server.NoDelay <- true
            return new Ends(client, server)
        }

    /// The server's end of a connection that was made elsewhere.
    member _.AcceptAsync() = listener.AcceptSocketAsync(token ())

    /// Nobody listens behind the proxy any more.
    member _.StopServer() = listener.Stop()

    member _.AddAsync(toxic: NewToxic) =
        task {
            let! added = Subject.ok (subject.Client.AddToxicAsync(Line.Name, toxic, token ()))
            return added.Name
        }

    member line.AddAsync(stream: Stream, toxic: Toxic) = line.AddAsync(NewToxic.on stream toxic)

    member _.UpdateAsync(name: string, toxic: Toxic, toxicity: float32) =
        task {
            let! _ = Subject.ok (subject.Client.UpdateToxicAsync(Line.Name, name, toxic, toxicity, token ()))
            ()
        }

    member _.RemoveAsync(name: string) = Subject.ok (subject.Client.RemoveToxicAsync(Line.Name, name, token ()))

    member _.ChangeAsync(change: ProxyChange) =
        task {
            let! _ = Subject.ok (subject.Client.UpdateProxyAsync(Line.Name, change, token ()))
            ()
        }

module Line =
    let on (subject: Subject) (body: Line -> Task<unit>) =
        task {
            use listener = new TcpListener(IPAddress.Loopback, 0)
            listener.Start 512

            let! proxy =
                Subject.ok (
                    subject.Client.CreateProxyAsync(
                        { Name = Line.Name
                          Listen = "127.0.0.1:0"
                          Upstream = string listener.LocalEndpoint
                          Enabled = true },
                        Deadline.token ()
                    )
                )

            do! body (Line(subject, listener, proxy))
        }

    /// A test of a line on any Toxiproxy server.
    let test name (body: Line -> Task<unit>) = Subject.test name (fun subject -> on subject body)

    /// A test of a line on our own server.
    let testOwn name (body: Line -> Task<unit>) = Subject.testOwn name (fun subject -> on subject body)
