@echo off
rem Starts Trellis on Windows: sets up .venv in the clone, then the demo, or the service when a token is configured.
setlocal
cd /d "%~dp0.."
set "VENV_PYTHON=%CD%\.venv\Scripts\python.exe"
rem A .venv whose Python has gone, or that was only half made, is made anew.
if exist "%VENV_PYTHON%" "%VENV_PYTHON%" -c "import pip" >nul 2>nul && goto install
echo Setting up .venv ... 1>&2
if exist .venv rmdir /s /q .venv
call :find py -3 || call :find python || call :find python3 || (
    echo Trellis needs Python 3.11 or newer: install it from python.org and run this again. 1>&2
    goto failed
)
%FOUND% -m venv .venv || (
    if exist .venv rmdir /s /q .venv
    echo The virtual environment .venv could not be made, see above. 1>&2
    goto failed
)
:install
rem A copy of the installed lock file says whether there is anything to do.
fc /b requirements.lock .venv\installed.lock >nul 2>nul && goto start
echo Installing the dependencies, a minute or two the first time ... 1>&2
if exist .venv\installed.lock del .venv\installed.lock
"%VENV_PYTHON%" -m pip install -qq --require-hashes --no-deps -r requirements.lock || (
    echo The dependencies could not be installed, see above. Check the network connection and run this again. 1>&2
    goto failed
)
copy /y requirements.lock .venv\installed.lock >nul
:start
set "PYTHONUTF8=1"
if defined TRELLIS_TELEGRAM_TOKEN (
    "%VENV_PYTHON%" run.py %*
) else (
    "%VENV_PYTHON%" run.py demo %*
)
if errorlevel 1 goto failed
exit /b 0

:failed
rem A window that was opened by a double click would close before anybody has read why.
set "CODE=%ERRORLEVEL%"
if "%CODE%"=="0" set "CODE=1"
echo %CMDCMDLINE% | find /i "/c" >nul && pause
exit /b %CODE%

:find
rem Sets FOUND to a Python that is new enough. The Store's placeholder python.exe fails here too.
%* -c "import sys; sys.exit(sys.version_info < (3, 11))" >nul 2>nul || exit /b 1
set "FOUND=%*"
exit /b 0
