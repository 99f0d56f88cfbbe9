module Program

open Expecto
open Regatta.Testing

[<EntryPoint>]
let main argv = TestEntry.run (testList "all" []) argv
