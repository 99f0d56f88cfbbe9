namespace Regatta.Toxiproxy.Server

open System.Threading.Tasks

[<AutoOpen>]
module internal Results =
    type ResultBuilder() =
        member _.Bind(result, next) = Result.bind next result
        member _.Return value = Ok value
        member _.ReturnFrom(result: Result<_, _>) = result
        member _.Zero() = Ok()
        member _.Delay(work: unit -> _) = work
        member _.Run(work: unit -> _) = work ()
        member _.Combine(first: Result<unit, _>, rest: unit -> _) = Result.bind rest first

    /// Goes on as long as the results are Ok.
    let result = ResultBuilder()

    let bindAsync (next: 'a -> Task<Result<'b, 'e>>) (result: Result<'a, 'e>) =
        task {
            match result with
            | Ok value -> return! next value
            | Error error -> return Error error
        }
