namespace Regatta.Cli;

/// <summary>What -o chooses.</summary>
internal enum OutputFormat
{
    /// <summary>For eyes: columns with headings; long values are shortened.</summary>
    Table,

    /// <summary>One JSON document.</summary>
    Json,

    /// <summary>One JSON object per line.</summary>
    JsonLines,

    /// <summary>Plain lines for scripts, fields separated by tabs.</summary>
    Simple,
}
