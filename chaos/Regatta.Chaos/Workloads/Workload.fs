namespace Regatta.Chaos

open System
open System.Collections.Concurrent
open System.Threading
open System.Threading.Tasks
open Regatta.Spec

/// What a workload's clients work with. `Place` is the node that a client talks to; it goes on with another one when a call has failed.
[<NoComparison; NoEquality>]
type Client =
    {
        Caller: Caller
        Draw: Random
        Shape: Shape
        Stop: CancellationToken
        /// Where sessions show each other their tokens, each with a revision that is behind it.
        Board: ConcurrentDictionary<int, string * Revision>
        mutable Place: Place
        mutable Made: int
    }

/// Something that clients do all the time. Each client is given its number among them, from 0 on.
[<NoComparison; NoEquality>]
type Workload = { Name: string; What: string; Clients: int; Run: int -> Client -> Task }

module Client =
    /// Between two calls: the nodes need the processors more than their clients do.
    let private pause (client: Client) most = Task.Delay(TimeSpan.FromMilliseconds(float (client.Draw.Next most)), TimeProvider.System)

    let key (text: string) = Bytes.OfText text

    /// A value that nobody else ever writes, with what it says in front.
    let value (client: Client) (text: string) =
        client.Made <- client.Made + 1
        Bytes.OfText $"{text}#{client.Caller.Number}.{client.Made}"

    let text (bytes: Bytes) = Text.Encoding.UTF8.GetString bytes.Memory.Span

    /// What a value says.
    let said (value: Bytes) = ((text value).Split '#')[0]

    let anyNode (client: Client) site = { Site = site; Node = client.Draw.Next client.Shape.NodesPerSite }
    let anySite (client: Client) = client.Draw.Next client.Shape.Sites

    let anyFollowerSite (client: Client) =
        match client.Shape.Followers with
        | [] -> 0
        | some -> some[client.Draw.Next some.Length]

    /// A call where the client is; it moves on to another node of the site when there is no answer.
    let call (client: Client) manner request =
        task {
            let! reply = client.Caller.Call(client.Place, manner, request)

            if reply.IsSome then
                do! pause client 25
            else
                // A node that is not there says so at once, again and again.
                client.Place <- anyNode client client.Place.Site
                do! pause client 120

            return reply
        }

    let put key value = Op.Put { Key = key; Value = value; PrevKv = false }
    let get key = Op.Range { Range = KeyRange.single key; Limit = 0L; Projection = Projection.Full }
    let everything range : RangeOp = { Range = range; Limit = 0L; Projection = Projection.Full }
    let read range = Request.Read(Query.Range(everything range, RevisionFilter.None))
    let readLocally range = Request.LocalRead(Query.Range(everything range, RevisionFilter.None))

    /// It is there as it was found, or not there as it was not.
    let unchanged key (found: KeyValue option) : Compare =
        { Range = KeyRange.single key
          Relation = Relation.Equal
          Operand = Operand.ModRevision(found |> Option.map _.Entry.ModRevision |> Option.defaultValue 0L) }

    let found (reply: Reply) =
        match reply.Response with
        | Response.Range answer -> answer.Kvs
        | _ -> []

    /// Does one thing after the other until it is time to stop.
    let forever (client: Client) (step: unit -> Task) : Task =
        task {
            while not client.Stop.IsCancellationRequested do
                do! step ()
        }
