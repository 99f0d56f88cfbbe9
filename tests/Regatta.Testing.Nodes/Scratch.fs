namespace Regatta.Testing.Nodes

open System
open System.IO

/// A temporary directory that is removed, whatever is in it, when the test is over.
type Scratch() =
    let path = Directory.CreateTempSubdirectory("regatta-test-").FullName
    member _.Path = path
    member _.Sub name = Path.Combine(path, name)

    interface IDisposable with
        member _.Dispose() = Directory.Delete(path, true)
