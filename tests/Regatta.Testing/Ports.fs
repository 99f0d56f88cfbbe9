namespace Regatta.Testing

open System
open System.IO
open System.Net
open System.Net.Sockets

/// Four consecutive free ports, as one node of `regatta dev` takes from its base port on. They lie below the range from which the system takes
/// the ports of outgoing connections and of those that `regatta dev` probes, and a lock file keeps other test processes of this machine from
/// choosing the same ones.
type Ports private (basePort: int, reservation: FileStream) =
    static let count = 4
    static let directory = Path.Combine(Path.GetTempPath(), "regatta-test-ports")

    static let bind (port: int) =
        let listener = new TcpListener(IPAddress.Loopback, port)

        try
            listener.Start()
            listener.Stop()
            true
        with :? SocketException ->
            false

    static let reserve port =
        try
            Some(new FileStream(Path.Combine(directory, string port), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None))
        with :? IOException ->
            None

    static let tryTake port =
        match reserve port with
        | None -> None
        | Some file when Seq.forall bind [ port .. port + count - 1 ] -> Some(new Ports(port, file))
        | Some file ->
            file.Dispose()
            None

    member _.Base = basePort
    member _.Clients = basePort
    member _.Replication = basePort + 1
    member _.Raft = basePort + 2
    member _.Rest = basePort + 3

    static member Take() =
        Directory.CreateDirectory directory |> ignore
        let first = 10_000 + Environment.ProcessId % 1000 * 8
        let candidates = Seq.append [ first..8..20_990 ] [ 10_000..8 .. first - 1 ]

        match Seq.tryPick tryTake candidates with
        | Some ports -> ports
        | None -> failwith "no block of four consecutive free ports between 10,000 and 21,000"

    interface IDisposable with
        member _.Dispose() = reservation.Dispose()
