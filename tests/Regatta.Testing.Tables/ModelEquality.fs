/// The property that a table is what the specification says, over any store.
module Regatta.Testing.Tables.ModelEquality

open Expecto
open Regatta.Testing

/// Steps of one script: about 200 commands, and as many reads and disturbances as fit between.
let private scriptSteps = 80

/// Runs one script in an environment of its own.
let run (newEnvironment: Regatta.Core.Incarnation -> ITableEnvironment) script =
    use environment = newEnvironment (Translation.incarnation Regatta.Spec.Generate.incarnation)
    ModelRun(environment, script.PageBytes).Execute script

/// An Expecto test: at least `commands` random commands in scripts of their own, each in a new environment, with reads and disturbances.
/// A failing script is shrunk and printed with the seed.
let test name commands (newEnvironment: Regatta.Core.Incarnation -> ITableEnvironment) =
    testCase name (fun () ->
        let mutable executed = 0
        let cases = max 1 (commands / 170)

        Property.checkShown (sprintf "%+A") name cases (Script.generate scriptSteps) Script.shrink (fun script ->
            run newEnvironment script
            executed <- executed + Script.commands script)

        // The number of commands per script is random; a run that does less than it says must not pass.
        Expect.isGreaterThanOrEqual executed commands "commands executed")
