using Regatta.Cli;

using Interruption interruption = Interruption.Listen();
return await CommandLine.RunAsync(args, Surroundings.OfThisProcess(), interruption.Token);
