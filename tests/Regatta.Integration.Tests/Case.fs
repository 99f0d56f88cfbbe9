namespace Regatta.Integration.Tests

open System.Threading.Tasks
open Expecto

module Case =
    /// A test whose body is a task. Expecto's own `testTask` cannot `use` what is only IDisposable.
    let ofTask name (body: unit -> Task<unit>) = testCase name (fun () -> (Regatta.Testing.Afterwards.run body).GetAwaiter().GetResult())
