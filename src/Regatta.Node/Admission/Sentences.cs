namespace Regatta.Node;

/// <summary>Rejections without details, made once. The words are those of the Go project, which its clients may match on.</summary>
internal static class Sentences
{
    public static readonly Rejection TableMustBeSet = Rejection.Invalid("table must be set");

    public static readonly Rejection TableNotFound = Rejection.NotFound("table not found");

    public static readonly Rejection NameMustBeSet = Rejection.Invalid("name must be set");

    public static readonly Rejection TableExists = Rejection.Invalid("table already exists");

    /// <summary>Tables.Delete has another code for it than the KV calls, as in the Go project.</summary>
    public static readonly Rejection TableToDeleteNotFound = Rejection.Invalid("table not found");
}
