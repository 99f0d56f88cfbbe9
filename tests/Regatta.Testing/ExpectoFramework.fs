namespace Regatta.Testing

open System
open System.Collections.Generic
open System.Threading
open System.Threading.Tasks
open Expecto
open Microsoft.Testing.Platform.Capabilities.TestFramework
open Microsoft.Testing.Platform.Extensions.Messages
open Microsoft.Testing.Platform.Extensions.TestFramework
open Microsoft.Testing.Platform.Requests

/// An Expecto test tree as a Microsoft.Testing.Platform test framework. Expecto has no adapter in the package registry;
/// this one is all that `dotnet test`, `dotnet run` and Stryker need. Tests of one project run one after the other.
type private NoCapabilities() =
    interface ITestFrameworkCapabilities with
        member _.Capabilities = Array.empty :> IReadOnlyCollection<ITestFrameworkCapability>

/// One that has not ended after `patience`, far more than any test takes, has failed: it is named, and the others have their turn.
type internal ExpectoFramework(root: Test, patience: TimeSpan) =
    let tests = Test.toTestCodeList root
    let nameOf (test: FlatTest) = String.concat " / " test.name

    let node (test: FlatTest) (property: IProperty) =
        TestNode(Uid = TestNodeUid(nameOf test), DisplayName = nameOf test, Properties = PropertyBag [| property |])

    let wanted (filter: ITestExecutionFilter) =
        match filter with
        | :? TestNodeUidListFilter as list ->
            let uids = list.TestNodeUids |> Seq.map (fun uid -> uid.Value) |> Set.ofSeq
            fun test -> uids.Contains(nameOf test)
        | _ ->
            // A plain way to run some tests by hand: those whose full names contain the text, or one of several with | between them.
            match Environment.GetEnvironmentVariable "REGATTA_TEST_FILTER" with
            | null
            | "" -> fun _ -> true
            | texts ->
                fun test -> texts.Split '|' |> Array.exists (fun text -> (nameOf test).Contains(text, StringComparison.OrdinalIgnoreCase))

    let run (test: FlatTest) (token: CancellationToken) =
        async {
            match test.test with
            | Sync body -> body ()
            | SyncWithCancel body -> body token
            | Async body -> do! body
            | AsyncFsCheck(config, _, body) -> do! body (defaultArg config FsCheckConfig.defaultConfig)
        }

    let skipped (test: FlatTest) =
        match test.state with
        | Pending -> true
        | Normal
        | Focused -> false

    static member Capabilities = NoCapabilities() :> ITestFrameworkCapabilities

    interface IDataProducer with
        member _.DataTypesProduced = [| typeof<TestNodeUpdateMessage> |]

    interface ITestFramework with
        member _.CreateTestSessionAsync _ = Task.FromResult(CreateTestSessionResult(IsSuccess = true))
        member _.CloseTestSessionAsync _ = Task.FromResult(CloseTestSessionResult(IsSuccess = true))

        member this.ExecuteRequestAsync context =
            task {
                let publish (node: TestNode) =
                    context.MessageBus.PublishAsync(this, TestNodeUpdateMessage(context.Request.Session.SessionUid, node))

                let outcome (test: FlatTest) =
                    task {
                        if skipped test then
                            return SkippedTestNodeStateProperty("marked as pending in the source") :> IProperty
                        else
                            try
                                let running =
                                    Async.StartAsTask(run test context.CancellationToken, cancellationToken = context.CancellationToken)

                                let! first = Task.WhenAny(running, Task.Delay(patience, TimeProvider.System))
                                if not (Object.ReferenceEquals(first, running)) then failtest $"it has not ended after {patience}"
                                do! running
                                return PassedTestNodeStateProperty.CachedInstance :> IProperty
                            with
                            | :? IgnoreException as e -> return SkippedTestNodeStateProperty(e.Message) :> IProperty
                            | e -> return FailedTestNodeStateProperty(e, e.Message) :> IProperty
                    }

                try
                    match context.Request with
                    | :? DiscoverTestExecutionRequest as request ->
                        for test in List.filter (wanted request.Filter) tests do
                            do! publish (node test DiscoveredTestNodeStateProperty.CachedInstance)
                    | :? RunTestExecutionRequest as request ->
                        for test in List.filter (wanted request.Filter) tests do
                            do! publish (node test InProgressTestNodeStateProperty.CachedInstance)
                            let! result = outcome test
                            do! publish (node test result)
                    | _ -> ()
                finally
                    context.Complete()
            }

    interface Microsoft.Testing.Platform.Extensions.IExtension with
        member _.Uid = "regatta-expecto"
        member _.Version = "1.0.0"
        member _.DisplayName = "Expecto"
        member _.Description = "Expecto test trees on Microsoft.Testing.Platform"
        member _.IsEnabledAsync() = Task.FromResult true
