"""Images: files, colours, MATLAB's bicubic, and the two measures of super-resolution papers."""
