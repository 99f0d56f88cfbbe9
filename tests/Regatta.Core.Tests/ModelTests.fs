module Regatta.Core.Tests.ModelTests

open Expecto
open Regatta.Testing
open Regatta.Testing.Tables

let tests =
    testList
        "a table in memory"
        [ ModelEquality.test
              "equals the specification, whatever is applied, read, crashed and restored"
              (Scale.pick 100_000 10_000_000)
              (fun incarnation -> new MemoryEnvironment(incarnation)) ]
